//! A timer that fires when its time has come, however much the task has done that waits for it.
//!
//! tokio lets a task do so much in a row, and then has everything of its own say that it is not ready, timers too. A call whose request
//! stream is always ready uses that up each time that it is polled, before its timer is asked; with a timer of tokio's alone its time
//! would never be over. This one is asked past that limit, as tokio's own `Timeout` asks the timer that it has.
//!
//! # Example
//! ```
//! use std::time::Duration;
//! use tower_micro_call::Expiry;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! Expiry::after(Duration::from_secs(1)).await;
//! # }
//! ```

use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use pin_project::pin_project;
use tokio::{
    task::coop::{has_budget_remaining, unconstrained},
    time::{Instant, Sleep, sleep, sleep_until},
};

/// Ready when its time has come. See the [module docs](self).
#[pin_project]
#[derive(Debug)]
pub struct Expiry(#[pin] Sleep);

impl Expiry {
    /// In `time` from now.
    pub fn after(time: Duration) -> Self {
        Self(sleep(time))
    }

    /// At `instant`.
    pub fn at(instant: Instant) -> Self {
        Self(sleep_until(instant))
    }

    /// When its time has come.
    pub fn instant(&self) -> Instant {
        self.0.deadline()
    }
}

impl Future for Expiry {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.project().0;
        if has_budget_remaining() {
            sleep.poll(cx)
        } else {
            pin!(unconstrained(sleep)).poll(cx)
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        task::{coop::poll_proceed, yield_now},
        time::advance,
    };

    use super::*;

    /// Does as much as a task may in a row.
    fn do_much(cx: &mut Context<'_>) {
        while let Poll::Ready(step) = poll_proceed(cx) {
            step.made_progress();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_fires_in_a_task_that_has_always_done_what_it_may() {
        let time = Duration::from_secs(1);
        let mut expiry = pin!(Expiry::after(time));
        let mut poll = async || {
            yield_now().await;
            std::future::poll_fn(|cx| {
                do_much(cx);
                assert!(pin!(sleep(Duration::ZERO)).poll(cx).is_pending());
                Poll::Ready(expiry.as_mut().poll(cx))
            })
            .await
        };
        assert!(poll().await.is_pending());
        advance(time).await;
        assert!(poll().await.is_ready());
    }
}
