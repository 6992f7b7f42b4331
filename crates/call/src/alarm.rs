//! Timers of one call that stand in for one another.
//!
//! A call has a deadline and its attempt a time of its own, which is over first. Whichever fires wakes the same task, so one of the two
//! is enough at a time: an [`Alarm`] tells those who poll it, by [`during`], when it will wake them.
//!
//! # Shape
//! ```text
//!   during(|| poll) --> ... --> Alarm::poll, pending        (answer, Some(its instant))
//!                                    dropped meanwhile       (answer, None)
//! ```
//! An alarm counts for the poll in which it was polled itself, on this thread: what a wrapper has moved to another task tells nothing.
//!
//! # Example
//! ```
//! use std::{future::Future, pin::pin, task::{Context, Waker}, time::Duration};
//! use tower_micro_call::alarm::{Alarm, during};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let mut alarm = pin!(Alarm::after(Duration::from_secs(1)));
//! let mut cx = Context::from_waker(Waker::noop());
//! let (answer, wakes_at) = during(|| alarm.as_mut().poll(&mut cx));
//! assert!(answer.is_pending());
//! assert_eq!(wakes_at, Some(alarm.instant()));
//! # }
//! ```

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project::{pin_project, pinned_drop};
use tokio::time::{Instant, Sleep, sleep};

/// What was told in the poll under way.
#[derive(Clone, Copy, Debug)]
enum Told {
    Nothing,
    /// The earliest alarm that goes off.
    At(Instant),
    /// One was dropped, and it may have been the one that was told.
    Dropped,
}

thread_local! {
    static TOLD: Cell<Told> = const { Cell::new(Told::Nothing) };
}

impl Told {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Dropped, _) | (_, Self::Dropped) => Self::Dropped,
            (Self::Nothing, told) | (told, Self::Nothing) => told,
            (Self::At(one), Self::At(other)) => Self::At(one.min(other)),
        }
    }
}

/// What `poll` returns, and when an alarm inside wakes this task at the latest; `None` if it cannot be said.
pub fn during<T>(poll: impl FnOnce() -> T) -> (T, Option<Instant>) {
    let around = Around(TOLD.replace(Told::Nothing));
    let answer = poll();
    let at = match TOLD.get() {
        Told::At(at) => Some(at),
        Told::Nothing | Told::Dropped => None,
    };
    drop(around);
    (answer, at)
}

/// What was told before, to which is added what is told inside, be it that a poll panics.
struct Around(Told);

impl Drop for Around {
    fn drop(&mut self) {
        TOLD.set(self.0.and(TOLD.get()));
    }
}

/// Adds to what is told. While its thread ends there is nobody to tell.
fn tell(told: Told) {
    let _ = TOLD.try_with(|all| all.set(all.get().and(told)));
}

/// A timer, on whose waking those around may count. Ready when its time has come.
#[pin_project(PinnedDrop)]
#[derive(Debug)]
pub struct Alarm(#[pin] Sleep);

impl Alarm {
    /// One that goes off in `time`.
    ///
    /// # Panics
    /// As [`sleep`], outside of a tokio runtime that keeps time.
    pub fn after(time: Duration) -> Self {
        Self(sleep(time))
    }

    /// When it goes off.
    pub fn instant(&self) -> Instant {
        self.0.deadline()
    }
}

impl Future for Alarm {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let at = self.instant();
        let rung = self.project().0.poll(cx);
        if rung.is_pending() {
            tell(Told::At(at));
        }
        rung
    }
}

#[pinned_drop]
impl PinnedDrop for Alarm {
    fn drop(self: Pin<&mut Self>) {
        tell(Told::Dropped);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        task::Waker,
    };

    use super::*;

    fn alarm(seconds: u64) -> Pin<Box<Alarm>> {
        Box::pin(Alarm::after(Duration::from_secs(seconds)))
    }

    fn poll(alarm: &mut Pin<Box<Alarm>>) -> Poll<()> {
        alarm.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test(start_paused = true)]
    async fn the_earliest_alarm_is_told_to_all_around() {
        let [mut early, mut late] = [1, 2].map(alarm);
        let ((_, inner), outer) = during(|| {
            assert!(poll(&mut early).is_pending());
            during(|| poll(&mut late))
        });
        assert_eq!(inner, Some(late.instant()));
        assert_eq!(outer, Some(early.instant()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_counts_for_the_poll_in_which_it_is_polled() {
        let mut alarm = alarm(1);
        assert_eq!(during(|| poll(&mut alarm)).1, Some(alarm.instant()));
        assert_eq!(during(|| ()).1, None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(during(|| poll(&mut alarm)), (Poll::Ready(()), None));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_counts_on_an_alarm_that_is_dropped() {
        let mut other = alarm(2);
        let (_, told) = during(|| {
            assert!(poll(&mut alarm(1)).is_pending());
            poll(&mut other)
        });
        assert_eq!(told, None);
        assert_eq!(during(|| poll(&mut other)).1, Some(other.instant()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_poll_that_panics_leaves_what_was_told_before() {
        let [mut kept, mut lost] = [2, 1].map(alarm);
        let (_, told) = during(|| {
            assert!(poll(&mut kept).is_pending());
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                during(|| {
                    assert!(poll(&mut lost).is_pending());
                    panic!("a wrapper's own");
                })
            }));
            assert!(panicked.is_err());
        });
        assert_eq!(told, Some(lost.instant()), "it still wakes this task");
        assert_eq!(during(|| ()).1, None);
    }
}
