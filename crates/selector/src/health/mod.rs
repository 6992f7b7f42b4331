//! Which nodes are not used for a while, because of how they did: driven by
//! [`Selector::mark`](crate::Selector::mark).
//!
//! | | a node goes | comes back | from |
//! |---|---|---|---|
//! | [`Health::None`] | never | | go-micro's registry selector |
//! | [`Health::Blacklist`] | after 3 failures in a row, of any kind | 30 to 60 s after the last | go-micro plugins `client/selector/blacklist` |
//! | [`Health::Outlier`] | after 5 failures in a row, or if fewer than 60 % of its attempts succeed | by one attempt that does well | gRFC A50, Finagle, linkerd |
//!
//! # What counts
//!
//! For an outlier what counts is whether the *node* is at fault, see [`Fault`]. A node that answers
//! `NOT_FOUND` does what it should; one that is full (`RESOURCE_EXHAUSTED`) is not helped by sending its
//! calls to the others; an attempt that nobody waited for says nothing. A go-micro blacklist counts
//! everything that is not a success.
//!
//! # How an outlier goes and comes back
//!
//! ```text
//!   in use --5 failures in a row, or a bad window--> out for 1 s, 2 s, 4 s … 10 s
//!     ^                                               |  time is over
//!     |                                               v
//!     '------- it does well ------------------- one attempt ---- it fails: out, for longer
//! ```
//!
//! A stream does well when it has begun to answer, and then has gone on for ten seconds or was let go of: its end may be hours away.
//!
//! The time doubles with each ejection, and halves for every ten seconds that the node then did well.
//! Attempts that were under way when it went neither help it nor harm it, whenever they end. A selector of yours, which hears of them too,
//! can tell them by [`Candidate::ejections`](crate::Candidate::ejections).
//!
//! Never more than half of the nodes are out ([`Outlier::max_ejected`]), and never the last one: where
//! most nodes fail, the fault is rather on this side, or shared, and sending everything to the few would
//! bring them down too. When nodes that did well are taken from the registry, those that were out longest
//! come back, so that this stays true.
//!
//! # What it costs
//!
//! While nobody is out, choosing loads one number more, and the mark of a success three. A node that does
//! well is never counted: its window opens with a failure.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//! use tower_micro_selector::{Health, Outlier};
//!
//! let strict = Outlier::default().consecutive_failures(2).ejected_for(Duration::from_secs(5));
//! let health = Health::from(strict);
//! assert_ne!(health, Health::None);
//! ```
//!
//! # Not here
//!
//! Asking nodes how they are (gRPC's health service): here they are judged by the calls they get.

mod admission;
mod blacklist;
mod record;
#[cfg(test)]
mod tests;

pub(crate) use admission::{Admission, Admitted};
pub(crate) use blacklist::Blacklist;
pub(crate) use record::Record;

use std::time::Duration;

use crate::Mark;

/// How nodes that fail are kept out of the choice. See the [module docs](self) for an example.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Health {
    /// They are not.
    #[default]
    None,
    /// As go-micro's blacklist does (plugins `client/selector/blacklist`): an id that failed three times
    /// without a success in between is left out of selections, until the first tick of a 30 s clock that
    /// comes 30 s or more after its last failure. Everything that is not a success counts, cancelled
    /// attempts too. With all nodes listed, a call fails with
    /// [`NoneAvailable`](crate::SelectError::NoneAvailable).
    Blacklist,
    /// By what we would count, with at most half of the nodes out at a time.
    Outlier(Outlier),
}

impl From<Outlier> for Health {
    fn from(outlier: Outlier) -> Self {
        Self::Outlier(outlier)
    }
}

/// When a node is an outlier, and for how long it then is not used. See the [module docs](self).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlier {
    consecutive: u32,
    success_rate: f64,
    at_least: u32,
    window: Duration,
    shortest: Duration,
    longest: Duration,
    max_ejected: f64,
}

impl Default for Outlier {
    /// 5 failures in a row, or fewer than 60 % of at least 20 attempts within 10 s; out for 1 s to 10 s;
    /// at most half of the nodes.
    fn default() -> Self {
        Self {
            consecutive: 5,
            success_rate: 0.6,
            at_least: 20,
            window: Duration::from_secs(10),
            shortest: Duration::from_secs(1),
            longest: Duration::from_secs(10),
            max_ejected: 0.5,
        }
    }
}

impl Outlier {
    /// How many failures in a row make an outlier; 0 for any number.
    #[must_use]
    pub const fn consecutive_failures(mut self, count: u32) -> Self {
        self.consecutive = count;
        self
    }

    /// What share of the attempts within a [window](Self::window) must succeed, once there were
    /// `at_least` so many (more than 32 767 count as that): from 0.0, which asks for nothing, to 1.0.
    #[must_use]
    pub const fn success_rate(mut self, share: f64, at_least: u32) -> Self {
        self.success_rate = share;
        self.at_least = at_least;
        self
    }

    /// How long attempts are counted together, from a failure on. At most an hour.
    #[must_use]
    pub const fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// For how long a node is out the first time. Doubles up to [`at_most_for`](Self::at_most_for).
    #[must_use]
    pub const fn ejected_for(mut self, time: Duration) -> Self {
        self.shortest = time;
        self
    }

    /// For how long a node is out at most.
    #[must_use]
    pub const fn at_most_for(mut self, time: Duration) -> Self {
        self.longest = time;
        self
    }

    /// What share of the nodes may be out at a time, from 0.0 to 1.0. One may always be, where there are
    /// two or more; one never is.
    #[must_use]
    pub const fn max_ejected(mut self, share: f64) -> Self {
        self.max_ejected = share;
        self
    }

    /// Finds settings that cannot be meant. Who judges by them all the same takes too small a share for 0.0, and too large a one for 1.0.
    ///
    /// # Errors
    /// [`InvalidOutlier`] if a share is not from 0.0 to 1.0, or the window has no length.
    pub fn check(&self) -> Result<(), InvalidOutlier> {
        let shares = [
            ("success_rate", self.success_rate),
            ("max_ejected", self.max_ejected),
        ];
        for (option, share) in shares {
            if !(0.0..=1.0).contains(&share) {
                return Err(InvalidOutlier::Share {
                    option,
                    given: share.to_string(),
                });
            }
        }
        if self.window.is_zero() && self.success_rate > 0.0 {
            return Err(InvalidOutlier::Window);
        }
        Ok(())
    }

    /// How many of so many nodes may be out.
    fn limit(&self, members: usize) -> usize {
        let share = (members as f64 * self.max_ejected.clamp(0.0, 1.0)) as usize;
        share.max(1).min(members.saturating_sub(1))
    }

    /// How long a node is out for the `level`th time.
    fn time_out(&self, level: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(level.saturating_sub(1).min(20));
        self.shortest
            .saturating_mul(doubled)
            .min(self.longest.max(self.shortest))
    }
}

/// Settings of an [`Outlier`] that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidOutlier {
    /// A share that is none.
    #[error(
        "`{option}` of an outlier is {given}: give a share from 0.0 to 1.0, as in 0.6 for 60 %"
    )]
    Share {
        /// The setting.
        option: &'static str,
        /// What it was set to.
        given: String,
    },
    /// No two attempts would be counted together.
    #[error("`window` of an outlier is zero: make it longer, or ask for a `success_rate` of 0.0")]
    Window,
}

/// Who is to blame for an attempt that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The node: it was not reached, broke off, took too long, or said that it is unavailable.
    Node,
    /// Not the node: it answered as it should, with an error. As good as a success.
    Elsewhere,
    /// Nobody can tell. Says nothing about the node.
    Unknown,
}

/// What a mark says of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    Well,
    Ill,
    Nothing,
}

impl Evidence {
    #[inline]
    pub(crate) fn of(mark: Mark<'_>) -> Self {
        let fault = match mark {
            Mark::Success => Fault::Elsewhere,
            Mark::Failure(_, fault) | Mark::TimedOut(fault) => fault,
            Mark::Cancelled => Fault::Unknown,
        };
        match fault {
            Fault::Elsewhere => Self::Well,
            Fault::Node => Self::Ill,
            Fault::Unknown => Self::Nothing,
        }
    }
}
