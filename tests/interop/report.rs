//! Which runs of a case have failed, and how.

use std::{fmt, future::Future, panic::AssertUnwindSafe};

use futures_util::FutureExt;

use crate::support::{soon, words_of};

/// Gathers failures, so that one run that fails does not hide the others.
#[derive(Default)]
pub(super) struct Report(Vec<String>);

impl Report {
    /// Runs a case to its end, or to where it panics.
    pub(super) async fn run(&mut self, mode: impl fmt::Display, case: impl Future<Output = ()>) {
        if let Err(words) = ended(case).await {
            self.0.push(format!("{mode}: {words}"));
        }
    }

    /// Runs one that is known to end with CANCELLED, so that the day on which it does not is noticed.
    pub(super) async fn run_in_vain(
        &mut self,
        mode: impl fmt::Display,
        case: impl Future<Output = ()>,
    ) {
        match ended(case).await {
            Ok(()) => self.0.push(format!("{mode}: no longer fails")),
            Err(words) if words.contains("Cancelled") => {}
            Err(words) => self
                .0
                .push(format!("{mode}: fails in another way: {words}")),
        }
    }

    /// Leaves one out that is known to hang.
    pub(super) async fn skip(&mut self, _: impl fmt::Display, _: impl Future<Output = ()>) {}

    /// Fails the test if a run has failed.
    pub(super) fn end(self) {
        assert!(self.0.is_empty(), "failed:\n{}", self.0.join("\n"));
    }
}

async fn ended(case: impl Future<Output = ()>) -> Result<(), String> {
    let ended = AssertUnwindSafe(soon(case)).catch_unwind().await;
    ended.map_err(|panic| words_of(&*panic).to_owned())
}
