//! Attempts beside the one under way.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep};

/// Those of one call, and when the next is due.
#[derive(Debug)]
pub(super) struct Hedges<F> {
    delay: Duration,
    /// How many may still be sent.
    left: u32,
    due: Pin<Box<Sleep>>,
    under_way: Vec<Beside<F>>,
}

/// One of them, and which of the call's attempts it is.
#[derive(Debug)]
pub(super) struct Beside<F> {
    pub(super) number: u32,
    pub(super) attempt: Pin<Box<F>>,
}

impl<F> Hedges<F> {
    /// At most `most`, each `delay` after what was sent before it.
    pub(super) fn new(delay: Duration, most: u32) -> Self {
        Self {
            delay,
            left: most,
            due: Box::pin(sleep(delay)),
            under_way: Vec::new(),
        }
    }

    /// Whether none is under way.
    pub(super) const fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    pub(super) fn push(&mut self, beside: Beside<F>) {
        self.under_way.push(beside);
    }

    /// No more are sent.
    pub(super) const fn stop(&mut self) {
        self.left = 0;
    }

    /// The next one is due after `pause`.
    pub(super) fn wait(&mut self, pause: Duration) {
        match Instant::now().checked_add(pause) {
            Some(due) => self.due.as_mut().reset(due),
            None => self.due.set(sleep(pause)),
        }
    }

    /// An attempt in turn is due after `pause`, and the next one here after that.
    pub(super) fn wait_for_turn(&mut self, pause: Duration) {
        self.wait(pause.saturating_add(self.delay));
    }

    /// Ready when one is due, once for each.
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.left == 0 {
            return Poll::Pending;
        }
        ready!(self.due.as_mut().poll(cx));
        self.left -= 1;
        self.wait(self.delay);
        Poll::Ready(())
    }
}

impl<F: Future> Hedges<F> {
    /// The number and the answer of one that has ended; it is under way no more.
    pub(super) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<(u32, F::Output)> {
        for place in 0..self.under_way.len() {
            if let Poll::Ready(answer) = self.under_way[place].attempt.as_mut().poll(cx) {
                let ended = self.under_way.swap_remove(place);
                return Poll::Ready((ended.number, answer));
            }
        }
        Poll::Pending
    }
}
