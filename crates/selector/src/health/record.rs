use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::Outlier;
use crate::clock;

/// What is known of how one node did. All of it is advice: a count that is lost to a race is no harm.
///
/// In the order of how often it is looked at.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Record {
    /// Until when the node is out, in ticks; 0 if it is not. The last bit: its one attempt is under way.
    pub(super) out: AtomicU64,
    /// Failures in a row.
    pub(super) failures: AtomicU32,
    pub(crate) measured: AtomicBool,
    /// Whether the head of a response has come of the one attempt.
    pub(super) answering: AtomicBool,
    /// How often it went or stayed out, in all; wraps around. Written under the lock of the ledger.
    pub(crate) ejections: AtomicU16,
    pub(crate) latency: AtomicU64,
    window: AtomicU64,
    /// Since when it is new or back, in ticks; 0 once it has its whole share.
    pub(super) warming: AtomicU64,
    /// How often it went in a row, and since when it is back. Written under the lock of the ledger.
    pub(super) level: AtomicU32,
    pub(super) back: AtomicU64,
}

/// Set in [`Record::out`] while the one attempt is under way.
pub(super) const PROBING: u64 = 1;

impl Record {
    pub(crate) fn out(&self) -> u64 {
        self.out.load(Relaxed)
    }

    /// The head of a response has come. It is of interest if that is of the one attempt.
    #[inline]
    pub(crate) fn answers(&self) {
        if self.out() & PROBING != 0 {
            self.answering.store(true, Relaxed);
        }
    }

    /// Whether its one attempt has begun to answer.
    pub(super) fn is_answering(&self) -> bool {
        self.answering.load(Relaxed)
    }

    /// In a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures.load(Relaxed)
    }

    /// It did well. Loads only, if it always does.
    pub(super) fn well(&self, outlier: &Outlier, now: impl FnOnce() -> u64) {
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
        if self.window.load(Relaxed) != 0 {
            self.count(outlier, false, now());
        }
    }

    /// It failed. Whether that is once too often.
    pub(super) fn ill(&self, outlier: &Outlier, now: u64) -> bool {
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        let window = self.count(outlier, true, now);
        let row = outlier.consecutive != 0 && failures >= outlier.consecutive;
        row || window.is_bad(outlier)
    }

    pub(super) fn forgive(&self) {
        self.failures.store(0, Relaxed);
        self.window.store(0, Relaxed);
        self.latency.store(0, Relaxed);
    }

    fn count(&self, outlier: &Outlier, failed: bool, now: u64) -> Window {
        let mut after = Window::default();
        let counted = |word: u64| {
            after = Window::read(word).and(failed, outlier, now);
            Some(after.word())
        };
        // Never an error: the closure always has a word.
        let _ = self.window.fetch_update(Relaxed, Relaxed, counted);
        after
    }
}

/// How many attempts there are in every window of more: those that are counted are halved when they are twice as many.
const MOST: u32 = u16::MAX as u32 / 2;

/// Attempts counted together, in one word: when it opened, in units of 2^20 ns (about a millisecond), and
/// how many attempts and failures there were since. The word 0 is no window.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    opened: u32,
    attempts: u16,
    failures: u16,
}

impl Window {
    fn read(word: u64) -> Self {
        Self {
            opened: (word >> 32) as u32,
            attempts: (word >> 16) as u16,
            failures: word as u16,
        }
    }

    fn word(self) -> u64 {
        u64::from(self.opened) << 32 | u64::from(self.attempts) << 16 | u64::from(self.failures)
    }

    /// A window that is over makes place for a new one, if there was a failure to open it.
    fn and(mut self, failed: bool, outlier: &Outlier, now: u64) -> Self {
        let now = unit(now);
        let longest = outlier.window.min(Duration::from_secs(60 * 60));
        let over =
            self.attempts == 0 || now.wrapping_sub(self.opened) > unit(clock::length(longest));
        if over {
            self = Self {
                opened: now,
                ..Self::default()
            };
            if !failed {
                return Self::default();
            }
        }
        if self.attempts == u16::MAX {
            (self.attempts, self.failures) = (self.attempts / 2, self.failures / 2);
        }
        self.attempts += 1;
        self.failures += u16::from(failed);
        self
    }

    fn is_bad(self, outlier: &Outlier) -> bool {
        let well = f64::from(self.attempts - self.failures);
        u32::from(self.attempts) >= outlier.at_least.clamp(1, MOST)
            && well < outlier.success_rate.clamp(0.0, 1.0) * f64::from(self.attempts)
    }
}

fn unit(ticks: u64) -> u32 {
    (ticks >> 20) as u32
}
