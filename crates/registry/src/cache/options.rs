//! The times of a cache.

use std::time::Duration;

use super::Backoff;

/// go-micro's `DefaultTTL` (`registry/cache/cache.go`).
const RESYNC: Duration = Duration::from_secs(60);
/// go-micro's timeout for one call to etcd (`registry/etcd/etcd.go`).
const TIMEOUT: Duration = Duration::from_secs(5);

/// How often a [`Cache`](super::Cache) looks again, and how long it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheOptions {
    /// From one first set to the next look at everything, ± 10 %. 60 s unless set; zero turns it off.
    pub resync: Duration,
    /// How long a watch may take to give its first set. 5 s unless set.
    pub timeout: Duration,
    /// How long to wait after a failure.
    pub backoff: Backoff,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            resync: RESYNC,
            timeout: TIMEOUT,
            backoff: Backoff::default(),
        }
    }
}

impl CacheOptions {
    /// Looks at everything again after `resync`, ± 10 %. Zero turns it off.
    #[must_use]
    pub const fn resync(mut self, resync: Duration) -> Self {
        self.resync = resync;
        self
    }

    /// Gives a watch `timeout` for its first set.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Waits as `backoff` says after a failure.
    #[must_use]
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }
}
