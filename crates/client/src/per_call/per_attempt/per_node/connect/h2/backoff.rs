//! The time between two dials.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const FACTOR: f64 = 1.6;
const JITTER: f64 = 0.2;
const CAP: Duration = Duration::from_secs(2);

/// How long to wait after `failures` dials that have failed, one after the other.
pub(super) fn after(failures: u32) -> Duration {
    let whole = whole(failures);
    whole.mul_f64(1.0 - JITTER + 2.0 * JITTER * fastrand::f64())
}

fn whole(failures: u32) -> Duration {
    // Past a few the cap has long been reached.
    let steps = failures.saturating_sub(1).min(32);
    let exact = FIRST.as_secs_f64() * FACTOR.powf(f64::from(steps));
    Duration::from_secs_f64(exact.min(CAP.as_secs_f64()))
}

/// A dial that nobody waited for to the end says something of the node only if it took longer than this.
pub(super) const PATIENCE: Duration = FIRST;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_to_two_seconds_and_stays_there() {
        let waits = [1, 2, 3, 7, 8, 1000].map(|failures| whole(failures).as_millis());
        assert_eq!(waits, [100, 160, 256, 1677, 2000, 2000]);
    }

    proptest::proptest! {
        #[test]
        fn it_is_at_most_a_fifth_off(failures in 1_u32..) {
            let (exact, wait) = (whole(failures), after(failures));
            proptest::prop_assert!(wait >= exact.mul_f64(0.799) && wait <= exact.mul_f64(1.201));
        }
    }
}
