//! How a call ends, and who wants to know.

use crate::Error;

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub enum End<'a> {
    /// With `grpc-status: 0`.
    Ok,
    /// With this error.
    Failed(&'a Error),
    /// The caller let go of it.
    Dropped,
}

/// Whether the call is over, and how it ended.
#[derive(Default)]
pub(super) enum State {
    #[default]
    Open,
    Ok,
    Failed(Error),
}

impl State {
    /// The end that has come, if one has.
    pub(super) const fn end(&self) -> Option<End<'_>> {
        match self {
            Self::Open => None,
            Self::Ok => Some(End::Ok),
            Self::Failed(error) => Some(End::Failed(error)),
        }
    }
}

/// Waits for the end of a call. Implemented for closures.
pub trait Ended: Send {
    /// The call has ended. Called once.
    fn ended(self: Box<Self>, end: End<'_>);

    /// Adds what is known to an error on its way to the caller.
    fn explain(&self, error: Error) -> Error {
        error
    }
}

impl<F: FnOnce(End<'_>) + Send> Ended for F {
    fn ended(self: Box<Self>, end: End<'_>) {
        self(end);
    }
}

/// Waits for the end of many calls, and so needs no box for each.
pub trait SharedEnded: Send + Sync {
    /// One of the calls has ended. Called once for each.
    fn ended(&self, end: End<'_>);
}
