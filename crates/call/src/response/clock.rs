//! When a body ends at the latest, and what follows when it does.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::Instant;

use super::{Polled, ResponseBody, State};
use crate::{Deadline, Error, Expiry};

/// When a body ends at the latest, and the timer that is armed when it has to wait.
pub(super) struct Clock {
    deadline: Deadline,
    expiry: Option<Pin<Box<Expiry>>>,
}

impl Clock {
    pub(super) const fn new(deadline: Deadline) -> Self {
        let expiry = None;
        Self { deadline, expiry }
    }

    /// Whether `deadline` comes no sooner.
    pub(super) fn ends_by(&self, deadline: Deadline) -> bool {
        self.deadline.instant() <= deadline.instant()
    }

    pub(super) fn has_passed(&self) -> bool {
        self.deadline.has_passed(Instant::now())
    }

    /// Whether its time is over, and the moment is too in which it was.
    pub(super) fn is_behind(&self) -> bool {
        self.deadline.instant() < Instant::now()
    }

    /// What the call was given.
    pub(super) const fn timeout(&self) -> Duration {
        self.deadline.timeout()
    }

    /// Ready when the time is up.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let at = self.deadline.instant();
        let expiry = self.expiry.get_or_insert_with(|| Box::pin(Expiry::at(at)));
        expiry.as_mut().poll(cx)
    }
}

impl ResponseBody {
    /// Whether the deadline has passed in the middle of a body that never has to be waited for. An answer in one piece, and an end that
    /// has come, are handed on whatever the time.
    #[inline]
    pub(super) fn goes_on_too_long(&self) -> bool {
        self.0.data_frames > 1
            && matches!(self.0.state, State::Open)
            && self.0.clock.as_ref().is_some_and(Clock::is_behind)
    }

    pub(super) fn poll_clock(&mut self, cx: &mut Context<'_>) -> Polled {
        let Some(clock) = &mut self.0.clock else {
            return Poll::Pending;
        };
        ready!(clock.poll(cx));
        self.poll_too_late()
    }

    #[cold]
    pub(super) fn poll_too_late(&mut self) -> Polled {
        let error = self.too_late();
        Poll::Ready(Some(Err(self.fail(error))))
    }

    /// Whether the deadline has passed. A node that cancels then has given up because of it, sooner than a timer of ours fired.
    #[cold]
    pub(super) fn is_overdue(&self) -> bool {
        self.0.clock.as_ref().is_some_and(Clock::has_passed)
    }

    pub(super) fn too_late(&self) -> Error {
        let timeout = self.0.clock.as_ref().map(Clock::timeout);
        let error = Error::deadline(timeout.unwrap_or_default(), self.0.dialect);
        if self.0.data_frames > 1 && !self.0.streaming {
            return error.with_hint(
                "the node was streaming: mark the method with `streaming(true)` if it is a stream",
            );
        }
        error
    }
}
