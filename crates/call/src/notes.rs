//! What the layers of one call tell each other.
//!
//! Layers never name one another. They leave typed notes in the request's extensions, all in one entry, so that a call pays for one
//! insertion. A note is admitted when one layer writes it and another reads it.
//!
//! | note | written by | read by |
//! |---|---|---|
//! | [`CallOptions`] | caller and client wrappers, then the options layer | every layer |
//! | the time | options; select and retry after a wait | attempt timeout, metadata |
//! | [`Deadline`] | options | select, deadline, retry, pick, attempt timeout, metadata, wrappers |
//! | [`ServiceName`] | the channel; select | wrappers, retry, pick |
//! | [`Picker`] | select | retry, pick |
//! | [`Attempt`] | retry; its time: attempt timeout | attempt timeout, wrappers; metadata |
//! | [`Candidate`] | pick, a call wrapper | call wrappers, transport |

use std::{mem, sync::Arc, time::Duration};

use http::Extensions;
use tokio::time::Instant;
use tower_micro_registry::ServiceName;
use tower_micro_selector::{Candidate, Chosen, Picker};

use crate::{CallOptions, Dialect, Error};

/// The point in time at which a call ends, whatever it is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    at: Instant,
    timeout: Duration,
}

impl Deadline {
    /// `timeout` from `now`. A timeout too long for the clock is cut to 30 years.
    #[inline]
    pub fn after(timeout: Duration, now: Instant) -> Self {
        const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
        let at = now.checked_add(timeout).unwrap_or_else(|| now + FAR);
        Self { at, timeout }
    }

    /// At `at`, the timeout being what is left of it `now`.
    #[inline]
    pub fn at(at: Instant, now: Instant) -> Self {
        let timeout = at.saturating_duration_since(now);
        Self { at, timeout }
    }

    /// When the call ends.
    #[inline]
    pub const fn instant(&self) -> Instant {
        self.at
    }

    /// The whole time the call was given. It stays the same over all attempts, as go-micro's `RequestTimeout` does.
    #[inline]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// When the call was given its time; `None` if that was longer than the clock goes.
    #[inline]
    pub fn began(&self) -> Option<Instant> {
        self.at.checked_sub(self.timeout)
    }

    /// What is left; zero when it has passed.
    #[inline]
    pub fn remaining(&self, now: Instant) -> Duration {
        self.at.saturating_duration_since(now)
    }

    /// Whether nothing is left.
    #[inline]
    pub fn has_passed(&self, now: Instant) -> bool {
        self.at <= now
    }
}

/// Which try of the call this is.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Attempt {
    /// Zero-based, as go-micro counts.
    pub number: u32,
    /// How many attempts may still follow this one; 0 if it is the last, whatever its end.
    pub left: u32,
    /// How the one before ended.
    pub previous: Option<Error>,
    /// The time this one has, if that is less than the call has left.
    pub timeout: Option<Duration>,
    /// Whether it is sent beside one that is under way.
    pub hedged: bool,
}

impl Attempt {
    /// Attempt `number`, after which `left` may follow.
    #[inline]
    pub const fn new(number: u32, left: u32) -> Self {
        Self {
            number,
            left,
            previous: None,
            timeout: None,
            hedged: false,
        }
    }

    /// Says that it is sent beside one that is under way.
    #[must_use]
    #[inline]
    pub const fn beside(mut self) -> Self {
        self.hedged = true;
        self
    }

    /// Adds how the one before ended.
    #[must_use]
    #[inline]
    pub fn after(mut self, previous: Option<Error>) -> Self {
        self.previous = previous;
        self
    }
}

/// What all attempts of a call have in common.
#[derive(Clone, Debug, Default)]
pub struct Common {
    options: Option<Arc<CallOptions>>,
    deadline: Option<Deadline>,
    service: Option<ServiceName>,
    picker: Option<Picker>,
}

impl From<Arc<CallOptions>> for Common {
    fn from(options: Arc<CallOptions>) -> Self {
        let options = Some(options);
        Self {
            options,
            ..Self::default()
        }
    }
}

impl Common {
    /// The options in force.
    #[inline]
    pub const fn options(&self) -> Option<&Arc<CallOptions>> {
        self.options.as_ref()
    }

    /// The dialect the options ask for; gRPC's where no layer has settled any.
    #[inline]
    pub fn dialect(&self) -> Dialect {
        self.options
            .as_ref()
            .map_or_else(Dialect::default, |options| options.spoken())
    }

    /// The deadline of the call.
    #[inline]
    pub const fn deadline(&self) -> Option<Deadline> {
        self.deadline
    }

    /// The service as the caller named it.
    #[inline]
    pub const fn service(&self) -> Option<&ServiceName> {
        self.service.as_ref()
    }

    /// go-micro's `next`.
    #[inline]
    pub const fn picker(&self) -> Option<&Picker> {
        self.picker.as_ref()
    }
}

/// The one entry. See the [module docs](self).
#[derive(Clone, Debug, Default)]
pub struct Notes {
    common: Held,
    clock: Option<Instant>,
    attempt: Attempt,
    node: Option<Chosen>,
}

/// While layers settle a call its notes are its own; then attempts share them, with one reference each.
#[derive(Clone, Debug)]
enum Held {
    Own(Common),
    Shared(Arc<Common>),
}

impl Default for Held {
    #[inline]
    fn default() -> Self {
        Self::Own(Common::default())
    }
}

impl Held {
    /// What others share stays as it is: a change makes a copy, whose picker still knows what the others tried.
    #[inline]
    fn own(&mut self) -> &mut Common {
        if let Self::Shared(shared) = self {
            *self = Self::Own(Common::clone(shared));
        }
        match self {
            Self::Own(own) => own,
            Self::Shared(_) => unreachable!("made its own above"),
        }
    }

    #[inline]
    fn shared(&mut self) -> &Arc<Common> {
        if let Self::Own(own) = self {
            *self = Self::Shared(Arc::new(mem::take(own)));
        }
        match self {
            Self::Shared(shared) => shared,
            Self::Own(_) => unreachable!("shared above"),
        }
    }
}

impl Notes {
    /// The notes of a request, if any layer has left some.
    #[inline]
    pub fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// The notes of a request, made if there are none.
    #[inline]
    pub fn of_mut(extensions: &mut Extensions) -> &mut Self {
        extensions.get_or_insert_default()
    }

    /// The same, to be changed.
    #[inline]
    pub fn get_mut(extensions: &mut Extensions) -> Option<&mut Self> {
        extensions.get_mut()
    }

    /// What `change` makes of the notes of a request, made if there are none. Where they are there it costs one look.
    #[inline]
    pub fn change<R>(extensions: &mut Extensions, change: impl FnOnce(&mut Self) -> R) -> R {
        match Self::get_mut(extensions) {
            Some(notes) => change(notes),
            None => change(Self::of_mut(extensions)),
        }
    }

    /// Those of a further attempt of a call.
    #[inline]
    pub fn again(common: Arc<Common>, attempt: Attempt) -> Self {
        Self {
            common: Held::Shared(common),
            clock: None,
            attempt,
            node: None,
        }
    }

    /// What all attempts of the call have in common.
    #[inline]
    pub fn common(&self) -> &Common {
        match &self.common {
            Held::Own(own) => own,
            Held::Shared(shared) => shared,
        }
    }

    /// The same, to be kept.
    #[inline]
    pub fn share(&mut self) -> &Arc<Common> {
        self.common.shared()
    }

    /// The options in force.
    #[inline]
    pub fn options(&self) -> Option<&Arc<CallOptions>> {
        self.common().options()
    }

    /// The dialect the options ask for; gRPC's where no layer has settled any.
    #[inline]
    pub fn dialect(&self) -> Dialect {
        self.common().dialect()
    }

    /// The deadline of the call.
    #[inline]
    pub fn deadline(&self) -> Option<Deadline> {
        self.common().deadline()
    }

    /// The time, as it was when a layer last had to wait. Reading it costs less than asking the clock once more.
    #[inline]
    pub fn now(&self) -> Instant {
        self.clock.unwrap_or_else(Instant::now)
    }

    /// The service as the caller named it.
    #[inline]
    pub fn service(&self) -> Option<&ServiceName> {
        self.common().service()
    }

    /// go-micro's `next`.
    #[inline]
    pub fn picker(&self) -> Option<&Picker> {
        self.common().picker()
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
        let common = self.common.own();
        common.options = Some(options);
        common.deadline = deadline;
    }

    /// Writes what time it is.
    #[inline]
    pub fn set_now(&mut self, now: Instant) {
        self.clock = Some(now);
    }

    /// Writes the service as the caller named it.
    #[inline]
    pub fn set_service(&mut self, service: ServiceName) {
        self.common.own().service = Some(service);
    }

    /// Writes the set the call chooses from.
    #[inline]
    pub fn set_picker(&mut self, service: &ServiceName, picker: Picker) {
        let common = self.common.own();
        if common.service.as_ref() != Some(service) {
            common.service = Some(service.clone());
        }
        common.picker = Some(picker);
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

#[cfg(test)]
mod tests {
    use tower_micro_selector::Random;

    use super::*;

    fn noted() -> Notes {
        let nodes = ["10.0.0.1:1", "10.0.0.2:1"].map(Candidate::at).to_vec();
        let mut notes = Notes::default();
        let picker = Picker::one_of(nodes, Arc::new(Random), true);
        notes.set_picker(&"greeter".parse().unwrap(), picker);
        notes
    }

    #[test]
    fn a_change_to_shared_notes_is_seen_by_nobody_else() {
        let mut notes = noted();
        let shared = Arc::clone(notes.share());
        notes.set_options(Arc::default(), None);
        assert!(notes.options().is_some());
        assert!(shared.options().is_none());
        assert_eq!(notes.service(), shared.service());
    }

    #[test]
    fn what_an_attempt_tried_is_known_to_notes_that_were_changed_since() {
        let mut notes = noted();
        let shared = Arc::clone(notes.share());
        let picker = |common: &Common| common.picker().cloned().unwrap();
        let first = picker(&shared).next().unwrap();
        notes.set_options(Arc::default(), None);
        let second = picker(notes.common()).next().unwrap();
        assert!(!Arc::ptr_eq(&first, &second));
    }

    #[test]
    fn a_node_is_forgotten_with_its_attempt() {
        let mut notes = noted();
        notes.set_node(notes.picker().unwrap().choose().unwrap());
        assert!(notes.node().is_some());
        notes.set_attempt(Attempt::new(1, 0));
        assert!(notes.node().is_none());
    }
}
