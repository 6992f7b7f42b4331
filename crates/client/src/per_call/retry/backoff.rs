//! How long to wait before an attempt.

use std::time::Duration;

use tower_micro_call::{Backoff, Error, RetryContext};

/// The first delay of [`StandardBackoff`].
const FIRST: Duration = Duration::from_millis(25);
/// The longest delay of [`StandardBackoff`], before jitter.
const LONGEST: Duration = Duration::from_secs(1);
/// How far jitter goes to either side.
const JITTER: f64 = 0.2;

/// `Preset::Standard`'s backoff.
///
/// Attempt 0 does not wait, nor does attempt 1 if it goes to a node that was not tried: another node is not helped by waiting. Else it
/// waits 25 ms. From attempt 2 on, attempt n waits 25 ms · 2ⁿ⁻², at most 1 s. All of that is give or take a fifth. After a pause that a
/// node has named it grows from 25 ms again.
#[derive(Clone, Copy, Debug, Default)]
pub struct StandardBackoff;

impl StandardBackoff {
    fn before_jitter(attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(2).min(16);
        (FIRST * (1 << doublings)).min(LONGEST)
    }
}

impl Backoff for StandardBackoff {
    fn delay(&self, cx: RetryContext<'_>) -> Result<Duration, Error> {
        Ok(match cx.attempt {
            0 => Duration::ZERO,
            1 if cx.untried => Duration::ZERO,
            attempt => {
                let jitter = 1.0 - JITTER + 2.0 * JITTER * fastrand::f64();
                Self::before_jitter(attempt - cx.grows_from.min(attempt)).mul_f64(jitter)
            }
        })
    }
}

/// The longest delay of [`GoMicroBackoff`].
const GO_MICRO_LONGEST: Duration = Duration::from_secs(120);
/// Attempts after this one wait [`GO_MICRO_LONGEST`].
const GO_MICRO_LAST_GROWING: u32 = 13;

/// go-micro's backoff: before attempt n, n^e cut to a whole number, times 100 ms; 120 s after the thirteenth; no jitter
/// (`util/backoff/backoff.go`).
///
/// 0, 100 ms, 600 ms, 1.9 s, 4.3 s, 7.9 s, 13 s …
#[derive(Clone, Copy, Debug, Default)]
pub struct GoMicroBackoff;

impl Backoff for GoMicroBackoff {
    fn delay(&self, cx: RetryContext<'_>) -> Result<Duration, Error> {
        if cx.attempt > GO_MICRO_LAST_GROWING {
            return Ok(GO_MICRO_LONGEST);
        }
        let tenths = f64::from(cx.attempt).powf(std::f64::consts::E).trunc();
        Ok(Duration::from_millis(100).mul_f64(tenths))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tower_micro_call::CallOptions;

    use super::*;

    fn delay(backoff: impl Backoff, attempt: u32, untried: bool) -> Duration {
        let options = CallOptions::new();
        let cx = RetryContext::new(attempt, &options).with_untried(untried);
        backoff.delay(cx).unwrap()
    }

    #[test]
    fn go_micros_delays_are_the_recorded_ones() {
        let recorded = [
            0, 100, 600, 1900, 4300, 7900, 13_000, 19_800, 28_500, 39_200, 52_200, 67_700, 85_800,
            106_600, 120_000, 120_000,
        ];
        for (attempt, expected) in (0..).zip(recorded) {
            let got = delay(GoMicroBackoff, attempt, false);
            assert_eq!(got, Duration::from_millis(expected), "attempt {attempt}");
        }
    }

    #[test]
    fn another_node_is_tried_without_waiting_and_the_same_one_is_not() {
        assert_eq!(delay(StandardBackoff, 0, false), Duration::ZERO);
        assert_eq!(delay(StandardBackoff, 1, true), Duration::ZERO);
        assert!(delay(StandardBackoff, 1, false) >= Duration::from_millis(20));
        assert!(delay(StandardBackoff, 2, true) >= Duration::from_millis(20));
    }

    proptest! {
        #[test]
        fn a_delay_is_within_a_fifth_of_its_exponent_and_never_above_the_cap(attempt in 2u32..10_000) {
            let exact = (0.025 * 2f64.powi((attempt - 2).min(60) as i32)).min(1.0);
            let got = delay(StandardBackoff, attempt, true).as_secs_f64();
            prop_assert!((0.8 * exact - 1e-6..=1.2 * exact + 1e-6).contains(&got));
        }
    }
}
