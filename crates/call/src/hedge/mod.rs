//! When a call that is not answered is sent to another node beside the first: gRPC's hedging (gRFC A6), Finagle's backup request.
//!
//! Only calls that are `idempotent`, and whose request has ended, are hedged. What is sent beside counts as an attempt: it needs
//! one of the [`retries`](crate::CallOptions::retries) and one of the budget. The first good answer is the call's; the others are
//! let go of, which says nothing about their nodes.
//!
//! # Units and defaults
//! One more request, after a fixed time or after the time in which a given share of calls is answered. That share is looked up in
//! the answers of the last 20 to 40 s, in steps of a quarter of a power of two; until a hundred have come there is no hedging.
//!
//! # Example
//! ```
//! use std::time::Duration;
//! use tower_micro_call::{CallOptions, Hedge};
//!
//! let fixed = CallOptions::new().idempotent(true).hedge(Hedge::after(Duration::from_millis(80)));
//! let measured = CallOptions::new().idempotent(true).hedge(Hedge::after_percentile(0.95).at_most(2));
//! # let _ = (fixed, measured);
//! ```

mod latencies;

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;

use latencies::Latencies;

/// How soon a call is sent once more beside the first. See the [module docs](self).
#[derive(Clone)]
pub struct Hedge {
    delay: Delay,
    most: u32,
}

#[derive(Clone)]
enum Delay {
    Fixed(Duration),
    /// Of the calls that share this.
    Percentile(f64, Arc<Latencies>),
}

impl Hedge {
    /// After `delay`.
    pub const fn after(delay: Duration) -> Self {
        Self {
            delay: Delay::Fixed(delay),
            most: 1,
        }
    }

    /// After the time in which `share` (0 to 1; 0.95 is usual) of the calls that have this option are answered. Of what is no share there
    /// is no such time, and no client is built with it.
    pub fn after_percentile(share: f64) -> Self {
        let latencies = Arc::new(Latencies::new(Instant::now()));
        let delay = Delay::Percentile(share, latencies);
        Self { delay, most: 1 }
    }

    /// At most `requests` beside the first, each the delay after the one before; at least 1.
    #[must_use]
    pub fn at_most(mut self, requests: u32) -> Self {
        self.most = requests.max(1);
        self
    }

    /// How many requests may be sent beside the first.
    pub const fn most(&self) -> u32 {
        self.most
    }

    /// The share of [`after_percentile`](Self::after_percentile), as it was given.
    pub const fn share(&self) -> Option<f64> {
        match self.delay {
            Delay::Fixed(_) => None,
            Delay::Percentile(share, _) => Some(share),
        }
    }

    /// The delay now; `None` if too little is known.
    pub fn delay(&self) -> Option<Duration> {
        match &self.delay {
            Delay::Fixed(delay) => Some(*delay),
            Delay::Percentile(share, latencies) if is_share(*share) => {
                latencies.percentile(*share, Instant::now())
            }
            Delay::Percentile(..) => None,
        }
    }

    /// Whether the delay follows from how long calls take.
    pub const fn measures(&self) -> bool {
        matches!(self.delay, Delay::Percentile(..))
    }

    /// A call that began at `began` was answered now.
    pub fn answered(&self, began: Instant) {
        if let Delay::Percentile(_, latencies) = &self.delay {
            let now = Instant::now();
            latencies.record(now.saturating_duration_since(began), now);
        }
    }
}

fn is_share(share: f64) -> bool {
    (0.0..=1.0).contains(&share)
}

impl fmt::Debug for Hedge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hedge = f.debug_struct("Hedge");
        match &self.delay {
            Delay::Fixed(delay) => hedge.field("after", delay),
            Delay::Percentile(share, _) => hedge.field("after_percentile", share),
        };
        hedge.field("at_most", &self.most).finish()
    }
}
