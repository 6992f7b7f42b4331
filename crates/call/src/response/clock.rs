use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::Deadline;

/// When a body ends at the latest, and the timer that is armed when it has to wait.
pub(super) struct Clock {
    deadline: Deadline,
    expiry: Option<Pin<Box<Sleep>>>,
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
        let expiry = self.expiry.get_or_insert_with(|| Box::pin(sleep_until(at)));
        expiry.as_mut().poll(cx)
    }
}
