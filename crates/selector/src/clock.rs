//! What time it is, for those who judge by time: how long a node stays out, how old a latency is.
//!
//! Nobody here waits for a time to come. It is read when a node is chosen or marked, and only where a
//! rule needs it, so it may as well come from a clock that a test turns by hand.
//!
//! # Example
//!
//! ```
//! use tower_micro_selector::{Clock, SystemClock};
//!
//! let began = SystemClock.now();
//! let frozen = move || began;
//! assert_eq!(frozen.now(), began);
//! ```

use std::sync::OnceLock;
use std::time::Duration;

/// A point in time, as `std` has it. With tokio: `tokio::time::Instant::into_std`.
#[expect(
    clippy::disallowed_types,
    reason = "nothing is scheduled by it, and where it comes from is for the caller to say"
)]
pub type Instant = std::time::Instant;

/// Says what time it is. Implemented for closures. See the [module docs](self) for an example.
pub trait Clock: Send + Sync {
    /// The time. Never before what it said earlier.
    fn now(&self) -> Instant;
}

impl<F> Clock for F
where
    F: Fn() -> Instant + Send + Sync,
{
    fn now(&self) -> Instant {
        self()
    }
}

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// Points in time as nanoseconds, to be kept in atomics. Never 0, which stands for "never", and always
/// even, so that there is a bit to spare. What lies before the beginning is cut to it.
pub(crate) fn ticks(at: Instant) -> u64 {
    let since = at.saturating_duration_since(beginning(at));
    (length(since) + 2) & !1
}

/// How many ticks last as long.
pub(crate) fn length(of: Duration) -> u64 {
    u64::try_from(of.as_nanos())
        .unwrap_or(u64::MAX / 4)
        .min(u64::MAX / 4)
}

/// When `ticks` was. For those who print it.
pub(crate) fn instant(ticks: u64, now: Instant) -> Instant {
    beginning(now) + Duration::from_nanos(ticks.saturating_sub(2))
}

/// An hour before somebody first asked: a clock that is turned by hand may be behind another.
fn beginning(now: Instant) -> Instant {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    const BEFORE: Duration = Duration::from_secs(60 * 60);
    *BEGINNING.get_or_init(|| now.checked_sub(BEFORE).unwrap_or(now))
}
