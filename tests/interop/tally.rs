//! What went through a client.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tower_micro::{Error, crates::call::Kind};

/// Calls and attempts, counted by wrappers of both kinds.
#[derive(Debug, Default)]
pub(super) struct Tally {
    calls: AtomicUsize,
    /// Calls that ended because of their deadline, which may come before any attempt.
    overdue: AtomicUsize,
    attempts: AtomicUsize,
    to_nobody: AtomicUsize,
}

impl Tally {
    pub(super) fn call(&self) {
        self.calls.fetch_add(1, SeqCst);
    }

    pub(super) fn failed(&self, error: &Error) {
        let overdue = error.kind() == Kind::Deadline;
        self.overdue.fetch_add(overdue.into(), SeqCst);
    }

    pub(super) fn attempt(&self, to_nobody: bool) {
        self.attempts.fetch_add(1, SeqCst);
        self.to_nobody.fetch_add(to_nobody.into(), SeqCst);
    }

    pub(super) fn to_nobody(&self) -> usize {
        self.to_nobody.load(SeqCst)
    }

    /// Whether there were calls, and `each` attempts for each of them.
    pub(super) fn assert_attempts(&self, each: usize) {
        assert!(self.calls.load(SeqCst) > 0, "no call was made");
        self.assert_each(self.attempts.load(SeqCst), each, "attempts");
    }

    /// Whether `count` is `each` for each call that had the time.
    pub(super) fn assert_each(&self, count: usize, each: usize, what: &str) {
        let (calls, overdue) = (self.calls.load(SeqCst), self.overdue.load(SeqCst));
        let expected = (calls - overdue) * each..=calls * each;
        assert!(
            expected.contains(&count),
            "{count} {what}, not {expected:?}"
        );
    }
}
