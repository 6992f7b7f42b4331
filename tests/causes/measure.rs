//! What a row holds, and how it is measured: three calls, of clients that have seen nothing yet.

use std::{error::Error as _, fmt};

use tonic::{Code, Status};
use tower_micro::{CallOptions, Disposition, Error, Kind};

use super::scene::Scene;

/// A row of the table.
pub(super) struct Row {
    pub(super) case: &'static str,
    pub(super) scene: Box<dyn Fn(CallOptions) -> Scene>,
    pub(super) expected: Measured,
}

/// How the caller sees a call end that is not done once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) code: Code,
    /// None if the status is not ours: what tonic's codec makes of an answer.
    pub(super) cause: Option<(Kind, Disposition)>,
}

/// How often a call is sent that may be done once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    /// Attempts that were begun.
    pub(super) attempts: usize,
    /// Requests that have reached the peer.
    pub(super) seen: usize,
}

/// What a row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measured {
    pub(super) ending: Ending,
    pub(super) counts: Counts,
    /// Of a method that may be done twice.
    pub(super) idempotent: Counts,
}

impl Row {
    pub(super) async fn measure(&self) -> Measured {
        let options = CallOptions::new;
        let scene = |options| (self.scene)(options);
        let (status, _) = scene(options().retries(0)).play().await;
        let (_, counts) = scene(options()).play().await;
        let (_, idempotent) = scene(options().idempotent(true)).play().await;
        Measured {
            ending: Ending::of(&status.expect_err("each row is a failure")),
            counts,
            idempotent,
        }
    }
}

impl Ending {
    fn of(status: &Status) -> Self {
        let error = status.source().and_then(|source| source.downcast_ref());
        Self {
            code: status.code(),
            cause: error.map(|error: &Error| (error.kind(), error.disposition())),
        }
    }
}

impl Measured {
    pub(super) const HEAD: &str = "case | code | kind | disposition | \
        retried, attempts, seen | the same if idempotent";

    pub(super) fn line(&self, case: &str) -> String {
        let Self {
            ending,
            counts,
            idempotent,
        } = self;
        format!("{case:46} | {ending} | {counts} | {idempotent}")
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = format!("{:?}", self.code);
        let [kind, disposition] = match self.cause {
            Some((kind, disposition)) => [format!("{kind:?}"), format!("{disposition:?}")],
            None => ["not ours".to_owned(), String::new()],
        };
        write!(f, "{code:17} | {kind:14} | {disposition:11}")
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let retried = if self.attempts > 1 { "yes" } else { "no" };
        write!(f, "{retried:3} {:2} {}", self.attempts, self.seen)
    }
}
