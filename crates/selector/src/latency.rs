use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What is `1/e` as old counts for so much less (Finagle `PeakEwma.scala`, `decayTime`).
const DECAY: f32 = 10.0;

/// A failure counts as so many usual answers,
const PENALTY: f32 = 4.0;
/// at least as if they took this long,
const QUICKEST: f32 = 250e-6;
/// and together at most this long.
const SLOWEST: f32 = 1.0;

/// How long a node takes to answer, in one word: seconds, and when that was known, in units of 2^20 ns
/// (about a millisecond). The word 0 is "not known".
///
/// Written with plain loads and stores: of two attempts that end at once one may be lost, which a moving
/// average does not notice.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Latency {
    seconds: f32,
    at: u32,
}

impl Latency {
    pub(crate) fn read(word: &AtomicU64) -> Self {
        let word = word.load(Relaxed);
        Self {
            seconds: f32::from_bits((word >> 32) as u32),
            at: word as u32,
        }
    }

    /// Follows a peak at once, and goes down slowly.
    pub(crate) fn observe(word: &AtomicU64, took: Duration, now: u64) {
        let (known, took, at) = (Self::read(word), took.as_secs_f32(), unit(now));
        let seconds = if took > known.seconds {
            took
        } else {
            let kept = known.kept(at);
            known.seconds * kept + took * (1.0 - kept)
        };
        Self { seconds, at }.write(word);
    }

    pub(crate) fn penalize(word: &AtomicU64, took: Duration, now: u64) {
        let (known, at) = (Self::read(word), unit(now));
        let usual = known.seconds.max(QUICKEST);
        let penalty = (usual * PENALTY).min(SLOWEST);
        let seconds = took.as_secs_f32().max(penalty).max(known.seconds);
        Self { seconds, at }.write(word);
    }

    fn write(self, word: &AtomicU64) {
        // Never the word 0: what took no time at all took a nanosecond.
        let seconds = self.seconds.max(1e-9).to_bits();
        word.store(u64::from(seconds) << 32 | u64::from(self.at), Relaxed);
    }

    pub(crate) fn duration(self) -> Option<Duration> {
        self.is_known()
            .then(|| Duration::from_secs_f32(self.seconds))
    }

    pub(crate) fn is_known(self) -> bool {
        self.seconds > 0.0
    }

    /// What is left of two latencies by the time of the younger one: who was not asked for long is forgiven
    /// little by little. Takes no clock: whoever is in use has just been measured.
    pub(crate) fn now(self, other: Self) -> (f32, f32) {
        let later = if self.at.wrapping_sub(other.at) as i32 > 0 {
            self.at
        } else {
            other.at
        };
        (
            self.seconds * self.kept(later),
            other.seconds * other.kept(later),
        )
    }

    /// How much of it counts after so long.
    fn kept(self, later: u32) -> f32 {
        const UNITS_PER_SECOND: f32 = 1e9 / (1 << 20) as f32;
        match later.wrapping_sub(self.at) as i32 {
            ..=0 => 1.0,
            passed => (-(passed as f32) / (DECAY * UNITS_PER_SECOND)).exp(),
        }
    }
}

fn unit(ticks: u64) -> u32 {
    (ticks >> 20) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn millis(word: &AtomicU64) -> f32 {
        Latency::read(word).seconds * 1e3
    }

    fn observe(word: &AtomicU64, took: u64, at: u64) {
        Latency::observe(word, Duration::from_millis(took), at);
    }

    #[test]
    fn nothing_is_known_before_the_first_answer() {
        let word = AtomicU64::new(0);
        assert_eq!(Latency::read(&word).duration(), None);
        Latency::observe(&word, Duration::ZERO, SECOND);
        assert!(Latency::read(&word).is_known(), "however quick it was");
    }

    #[test]
    fn a_peak_counts_at_once_and_goes_by_two_thirds_in_ten_seconds() {
        let word = AtomicU64::new(0);
        observe(&word, 1, SECOND);
        observe(&word, 100, SECOND);
        assert_eq!(millis(&word), 100.0);
        observe(&word, 0, 11 * SECOND);
        assert!((36.0..37.5).contains(&millis(&word)), "{}", millis(&word));
    }

    #[test]
    fn who_was_not_asked_for_long_is_forgiven() {
        let (slow, quick) = (AtomicU64::new(0), AtomicU64::new(0));
        observe(&slow, 10, SECOND);
        observe(&quick, 1, 26 * SECOND);
        let (slow, quick) = Latency::read(&slow).now(Latency::read(&quick));
        assert!(slow < quick, "{slow} {quick}");
    }

    #[test]
    fn a_failure_counts_four_times_and_never_more_than_a_second() {
        let word = AtomicU64::new(0);
        let mut seen = Vec::new();
        for _ in 0..8 {
            Latency::penalize(&word, Duration::ZERO, SECOND);
            seen.push(millis(&word));
        }
        assert_eq!(seen[..4], [1.0, 4.0, 16.0, 64.0]);
        assert_eq!(seen[7], 1000.0);
    }

    proptest! {
        #[test]
        fn it_lies_between_what_was_known_and_what_came(first in 0..5_000_u64, then in 0..5_000_u64, later in 0..100_u64) {
            let word = AtomicU64::new(0);
            observe(&word, first, SECOND);
            let before = millis(&word);
            observe(&word, then, (1 + later) * SECOND);
            let (least, most) = (before.min(then as f32), before.max(then as f32));
            prop_assert!((least * 0.999..=most * 1.001 + 1e-3).contains(&millis(&word)));
        }
    }
}
