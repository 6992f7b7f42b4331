//! How long to wait before the registry is asked again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const CAP: Duration = Duration::from_secs(10);
const JITTER: f64 = 0.2;
/// Less would be a circle without a pause, where a registry fails at once.
const LEAST: Duration = Duration::from_millis(1);

/// Doubles from `first` to `cap`; each wait is then drawn from ± 20 % around that.
///
/// go-micro's cache waits 0, 10, 100, 1000, 10000 ms and begins anew, without jitter
/// (`registry/cache/cache.go`, `backoff`); many clients of one registry would come back at the same moment.
///
/// A watch that has lasted for at least `cap` before it failed begins with `first` again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first failure. 100 ms unless set; less than a millisecond counts as one.
    pub first: Duration,
    /// The longest wait, before jitter. 10 s unless set; less than a millisecond counts as one.
    pub cap: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: FIRST,
            cap: CAP,
        }
    }
}

impl Backoff {
    /// The wait after `failures` that came before this one, with a random number from 0 to 1.
    pub(super) fn after(&self, failures: u32, random: f64) -> Duration {
        let factor = 2u32.saturating_pow(failures);
        let (first, cap) = (self.first.max(LEAST), self.cap.max(LEAST));
        spread(first.saturating_mul(factor).min(cap), JITTER, random)
    }
}

/// A time from `around` minus that share to `around` plus that share; 0.5 is the middle.
pub(super) fn spread(around: Duration, share: f64, random: f64) -> Duration {
    let factor = 1.0 - share + 2.0 * share * random;
    Duration::try_from_secs_f64(around.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_middle_of_the_defaults_doubles_from_100_ms_to_10_s() {
        let waits = (0..9).map(|failures| Backoff::default().after(failures, 0.5).as_millis());
        let expected = [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000];
        assert_eq!(waits.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn there_is_a_wait_though_none_is_set() {
        let (none, some) = (Duration::ZERO, Duration::from_secs(1));
        for (first, cap) in [(none, none), (none, some), (some, none)] {
            let wait = Backoff { first, cap }.after(0, 0.0);
            assert_eq!(wait, LEAST.mul_f64(1.0 - JITTER));
        }
    }

    fn any_duration() -> impl Strategy<Value = Duration> {
        prop_oneof![
            (0..100_000u64).prop_map(Duration::from_millis),
            any::<u64>().prop_map(Duration::from_secs),
            Just(Duration::MAX),
        ]
    }

    proptest! {
        #[test]
        fn a_wait_is_never_longer_than_the_cap_and_a_fifth(
            first in any_duration(), cap in any_duration(), failures: u32, random in 0.0..1.0f64,
        ) {
            let wait = Backoff { first, cap }.after(failures, random);
            prop_assert!(wait.as_secs_f64() <= cap.max(LEAST).as_secs_f64() * 1.200_000_1);
        }

        #[test]
        fn a_wait_is_never_shorter_than_the_first_less_a_fifth(failures: u32, random in 0.0..1.0f64) {
            prop_assert!(Backoff::default().after(failures, random) >= Duration::from_millis(80));
        }

        #[test]
        fn more_failures_never_wait_less(failures in 0..u32::MAX, random in 0.0..1.0f64) {
            let backoff = Backoff::default();
            prop_assert!(backoff.after(failures, random) <= backoff.after(failures + 1, random));
        }

        #[test]
        fn a_spread_stays_within_its_share(millis in 0..1_000_000u64, share in 0.0..1.0f64, random in 0.0..1.0f64) {
            let around = Duration::from_millis(millis);
            let off = spread(around, share, random).as_secs_f64() - around.as_secs_f64();
            prop_assert!(off.abs() <= around.as_secs_f64() * share + 1e-6);
        }
    }
}
