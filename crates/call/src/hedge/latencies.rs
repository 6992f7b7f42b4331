//! How long calls take: a histogram over the last 20 to 40 s, without a lock.
//!
//! A bucket is a quarter of a power of two of microseconds, so what is read is at most a quarter too long.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

/// Four to a power of two, up to 2³⁴ µs, which is more than four hours.
const BUCKETS: usize = 4 * 32;
/// What one half of the histogram covers.
const HALF: u64 = 20;
/// So many answers must have come before anything is said.
const ENOUGH: u32 = 100;

/// Two halves: one is filled, the other holds what was before it.
pub(super) struct Latencies {
    start: Instant,
    halves: [[AtomicU32; BUCKETS]; 2],
    /// The number of the half that is filled.
    current: AtomicU64,
}

impl Latencies {
    pub(super) fn new(start: Instant) -> Self {
        Self {
            start,
            halves: [(); 2].map(|()| [(); BUCKETS].map(|()| AtomicU32::new(0))),
            current: AtomicU64::new(0),
        }
    }

    pub(super) fn record(&self, latency: Duration, now: Instant) {
        let current = self.turn(now);
        self.halves[half(current)][bucket(latency)].fetch_add(1, Relaxed);
    }

    /// The time in which `share` of the calls were answered.
    pub(super) fn percentile(&self, share: f64, now: Instant) -> Option<Duration> {
        self.turn(now);
        let [one, other] = &self.halves;
        let counts: [u32; BUCKETS] = std::array::from_fn(|bucket| {
            let count = one[bucket].load(Relaxed);
            count.saturating_add(other[bucket].load(Relaxed))
        });
        let all = counts
            .iter()
            .fold(0u32, |sum, count| sum.saturating_add(*count));
        if all < ENOUGH {
            return None;
        }
        let within = (f64::from(all) * share).ceil() as u32;
        let mut sum = 0u32;
        let found = counts.iter().position(|count| {
            sum = sum.saturating_add(*count);
            sum >= within
        });
        Some(longest_of(found.unwrap_or(BUCKETS - 1)))
    }

    /// Begins the halves anew that are too old, and says which one is filled now.
    fn turn(&self, now: Instant) -> u64 {
        let number = now.saturating_duration_since(self.start).as_secs() / HALF;
        let current = self.current.load(Relaxed);
        if number <= current {
            return current;
        }
        let turned = self
            .current
            .compare_exchange(current, number, Relaxed, Relaxed);
        if turned.is_ok() {
            let old = (current + 1..=number).rev().take(2);
            old.for_each(|number| self.empty(half(number)));
        }
        number
    }

    fn empty(&self, half: usize) {
        let buckets = self.halves[half].iter();
        buckets.for_each(|bucket| bucket.store(0, Relaxed));
    }
}

const fn half(number: u64) -> usize {
    (number % 2) as usize
}

fn bucket(latency: Duration) -> usize {
    let micros = u64::try_from(latency.as_micros())
        .unwrap_or(u64::MAX)
        .max(4);
    let power = micros.ilog2();
    let quarter = (micros >> (power - 2)) & 3;
    (4 * (power as usize) + quarter as usize - 8).min(BUCKETS - 1)
}

/// The upper end of a bucket.
fn longest_of(bucket: usize) -> Duration {
    let (power, quarter) = (bucket / 4 + 2, bucket as u64 % 4);
    Duration::from_micros((5 + quarter) << (power - 2))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn nothing_is_said_before_enough_is_known() {
        let now = Instant::now();
        let latencies = Latencies::new(now);
        (1..ENOUGH).for_each(|_| latencies.record(millis(1), now));
        assert_eq!(latencies.percentile(0.5, now), None);
        latencies.record(millis(1), now);
        assert!(latencies.percentile(0.5, now).is_some());
    }

    #[test]
    fn a_share_of_the_calls_is_as_quick_as_is_said() {
        let now = Instant::now();
        let latencies = Latencies::new(now);
        (0..900).for_each(|_| latencies.record(millis(10), now));
        (0..100).for_each(|_| latencies.record(millis(500), now));
        let within = |share| latencies.percentile(share, now).unwrap();
        assert!((millis(10)..millis(13)).contains(&within(0.9)));
        assert!((millis(500)..millis(625)).contains(&within(0.95)));
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let start = Instant::now();
        let latencies = Latencies::new(start);
        (0..1000).for_each(|_| latencies.record(millis(500), start));
        let later = start + Duration::from_secs(2 * HALF);
        assert_eq!(latencies.percentile(0.5, later), None);
        (0..1000).for_each(|_| latencies.record(millis(1), later));
        assert!(latencies.percentile(1.0, later).unwrap() < millis(2));
    }

    proptest! {
        #[test]
        fn a_bucket_reaches_a_quarter_beyond_what_is_in_it(micros in 4u64..4_000_000_000) {
            let latency = Duration::from_micros(micros);
            let longest = longest_of(bucket(latency));
            prop_assert!(latency <= longest && longest <= latency.mul_f64(1.26));
        }

        #[test]
        fn any_time_has_a_bucket(seconds in any::<u64>(), nanos in 0u32..1_000_000_000) {
            prop_assert!(bucket(Duration::new(seconds, nanos)) < BUCKETS);
        }
    }
}
