//! What the layers of one call tell each other.
//!
//! Layers never name one another. They leave typed notes on the [`Body`](crate::Body) of the request, where a look at them costs
//! nothing. A layer that stands over bodies of another type leaves them in one entry of the extensions, where they are found once the
//! body is captured. A note is admitted when one layer writes it and another reads it.
//!
//! | note | written by | read by |
//! |---|---|---|
//! | [`CallOptions`] | options, from what the caller and client wrappers ask for | every layer |
//! | the time | options; select and retry after a wait | deadline, pick, attempt timeout, metadata |
//! | [`Deadline`] | options; deadline, if it has one of its own | select, deadline, retry, pick, attempt timeout, metadata, wrappers |
//! | [`ServiceName`] | the channel; select | wrappers, deadline, retry, pick |
//! | [`Picker`] | select | retry, pick, transport |
//! | [`Attempt`] | retry; its time: attempt timeout | attempt timeout, wrappers; metadata, transport |
//! | [`Candidate`] | pick, a call wrapper | call wrappers, transport |
//! | that wrappers have run their inside | attempt timeout | pick |

mod attempt;
mod common;
mod deadline;
mod place;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tower_micro_registry::ServiceName;
use tower_micro_selector::{Candidate, Chosen, Picker};

pub use self::{attempt::Attempt, common::Common, deadline::Deadline};
use crate::{CallOptions, Dialect};

/// Into so many parts, at most, is the time that is left divided.
const MOST_SHARES: u32 = 10;

/// All notes of a request. See the [module docs](self).
#[derive(Clone, Debug, Default)]
pub struct Notes {
    common: Common,
    clock: Option<Clock>,
    attempt: Attempt,
    node: Option<Chosen>,
}

/// The time as it was when a layer last read it, and what the call had left of its own.
#[derive(Clone, Copy, Debug)]
struct Clock {
    now: Instant,
    left: Option<Duration>,
}

impl Notes {
    /// Those of a call that begins.
    #[inline]
    pub fn of_service(service: ServiceName) -> Self {
        Self::again(service.into(), Attempt::default())
    }

    /// Those of a further attempt of a call.
    #[inline]
    pub const fn again(common: Common, attempt: Attempt) -> Self {
        Self {
            common,
            clock: None,
            attempt,
            node: None,
        }
    }

    /// What all attempts of the call have in common.
    #[inline]
    pub const fn common(&self) -> &Common {
        &self.common
    }

    /// The options in force.
    #[inline]
    pub fn options(&self) -> Option<&Arc<CallOptions>> {
        self.common.options()
    }

    /// The dialect the options ask for; gRPC's where no layer has settled any.
    #[inline]
    pub fn dialect(&self) -> Dialect {
        self.common.dialect()
    }

    /// The deadline of the call.
    #[inline]
    pub fn deadline(&self) -> Option<Deadline> {
        self.common.deadline()
    }

    /// The time, as it was when a layer last had to wait. Reading it costs less than asking the clock once more.
    #[inline]
    pub fn now(&self) -> Instant {
        self.clock.map_or_else(Instant::now, |clock| clock.now)
    }

    /// What is left of the call's time, at [`now`](Self::now); zero when it is over, `None` without a deadline.
    #[inline]
    pub fn time_left(&self) -> Option<Duration> {
        match self.clock {
            Some(clock) => clock.left,
            None => Some(self.deadline()?.remaining(Instant::now())),
        }
    }

    /// The part of the time left that is this attempt's, so that those that may follow have as much: at least a tenth. `None` without a
    /// deadline, if none may follow, and in go-micro's dialects, where an attempt has all of it.
    #[inline]
    pub fn share(&self) -> Option<Duration> {
        let left = self.attempt.left;
        let time = self.time_left().filter(|_| left > 0)?;
        let shares = left.saturating_add(1).min(MOST_SHARES);
        (!self.dialect().is_go_micro()).then(|| time / shares)
    }

    /// The service as the caller named it.
    #[inline]
    pub fn service(&self) -> Option<&ServiceName> {
        self.common.service()
    }

    /// go-micro's `next`.
    #[inline]
    pub fn picker(&self) -> Option<&Picker> {
        self.common.picker()
    }

    /// Which try this is.
    #[inline]
    pub const fn attempt(&self) -> &Attempt {
        &self.attempt
    }

    /// The node this attempt goes to.
    #[inline]
    pub fn node(&self) -> Option<&Arc<Candidate>> {
        self.node.as_ref()?.node(self.picker())
    }

    /// The same, as it was chosen.
    #[inline]
    pub(crate) const fn chosen(&self) -> Option<&Chosen> {
        self.node.as_ref()
    }

    /// Writes the options in force and the deadline that follows from them.
    #[inline]
    pub fn set_options(&mut self, options: Arc<CallOptions>, deadline: Option<Deadline>) {
        let told = self.common.told();
        told.options = Some(options);
        told.deadline = deadline;
        self.clock = None;
    }

    /// The same at `now`, the moment at which the deadline was given.
    #[inline]
    pub fn settle(&mut self, options: Arc<CallOptions>, deadline: Option<Deadline>, now: Instant) {
        self.set_options(options, deadline);
        let left = deadline.map(|deadline| deadline.timeout());
        self.clock = Some(Clock { now, left });
    }

    /// Writes when the call ends, and leaves its options as they are.
    #[inline]
    pub fn set_deadline(&mut self, deadline: Deadline) {
        self.common.told().deadline = Some(deadline);
        self.clock = None;
    }

    /// Writes what time it is.
    #[inline]
    pub fn set_now(&mut self, now: Instant) {
        let left = self.deadline().map(|deadline| deadline.remaining(now));
        self.clock = Some(Clock { now, left });
    }

    /// Writes the set the call chooses from.
    #[inline]
    pub fn set_picker(&mut self, service: &ServiceName, picker: Picker) {
        let told = self.common.told();
        if told.service.as_ref() != Some(service) {
            told.service = Some(service.clone());
        }
        told.picker = Some(picker);
    }

    /// Writes which try this is, and forgets the node of the one before.
    #[inline]
    pub fn set_attempt(&mut self, attempt: Attempt) {
        self.attempt = attempt;
        self.node = None;
    }

    /// Writes how many attempts may follow this one.
    #[inline]
    pub fn set_attempts_left(&mut self, left: u32) {
        self.attempt.left = left;
    }

    /// Writes that the request had not ended when the call began.
    #[inline]
    pub fn set_streamed(&mut self) {
        self.attempt.streamed = true;
    }

    /// Writes the time this attempt has.
    #[inline]
    pub fn set_attempt_timeout(&mut self, timeout: Option<Duration>) {
        self.attempt.timeout = timeout;
    }

    /// Writes the node. A call wrapper may put another one in its place; the mark still goes to the one that was picked.
    #[inline]
    pub fn set_node(&mut self, node: impl Into<Chosen>) {
        self.node = Some(node.into());
    }
}
