use std::time::Duration;

use tokio::time::Instant;

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
