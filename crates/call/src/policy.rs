//! The extension points of retry: whether, after how long, and how much in all.
//!
//! [`RetryPolicy`] and [`Backoff`] have one method each and are implemented for closures; [`Budget`] has two, and a third that need not be written. The first two are asked as go-micro asks its own (`client/retry.go`,
//! `client/backoff.go`): the backoff before every attempt, the first included; the predicate after every failed attempt, the last
//! included, with the zero-based number of the attempt that has just ended.

use std::{fmt, time::Duration};

use tokio::time::Instant;

use crate::{CallOptions, Error};

/// What a predicate or a backoff may know of the call.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RetryContext<'a> {
    /// Zero-based. For a predicate the attempt that has ended, for a backoff the one that is about to begin.
    pub attempt: u32,
    /// How the last attempt ended.
    pub error: Option<&'a Error>,
    /// The options in force.
    pub options: &'a CallOptions,
    /// Whether the next attempt can go to a node that this call has not tried.
    pub untried: bool,
    /// The attempt since which a growing backoff grows: 0, or the last one before which a node named the pause itself.
    pub grows_from: u32,
}

impl<'a> RetryContext<'a> {
    /// A context without an error and with no untried node.
    pub const fn new(attempt: u32, options: &'a CallOptions) -> Self {
        Self {
            attempt,
            error: None,
            options,
            untried: false,
            grows_from: 0,
        }
    }

    /// Adds how the last attempt ended.
    #[must_use]
    pub const fn with_error(mut self, error: Option<&'a Error>) -> Self {
        self.error = error;
        self
    }

    /// Says since which attempt a backoff grows.
    #[must_use]
    pub const fn growing_from(mut self, attempt: u32) -> Self {
        self.grows_from = attempt;
        self
    }

    /// Says whether an untried node is left.
    #[must_use]
    pub const fn with_untried(mut self, untried: bool) -> Self {
        self.untried = untried;
        self
    }
}

/// Whether an attempt that failed is followed by another: go-micro's `RetryFunc`.
pub trait RetryPolicy: Send + Sync {
    /// Decides. An error replaces the result of the call.
    ///
    /// # Errors
    /// Whatever the policy likes the call to end with.
    fn should_retry(&self, cx: RetryContext<'_>) -> Result<bool, Error>;
}

impl<F> RetryPolicy for F
where
    F: Fn(RetryContext<'_>) -> Result<bool, Error> + Send + Sync,
{
    fn should_retry(&self, cx: RetryContext<'_>) -> Result<bool, Error> {
        self(cx)
    }
}

/// How long to wait before an attempt: go-micro's `BackoffFunc`.
pub trait Backoff: Send + Sync {
    /// The delay before attempt `cx.attempt`; zero does not wait.
    ///
    /// # Errors
    /// Makes the attempt fail before it reaches a node; the predicate is asked as after any failure.
    fn delay(&self, cx: RetryContext<'_>) -> Result<Duration, Error>;
}

impl<F> Backoff for F
where
    F: Fn(RetryContext<'_>) -> Result<Duration, Error> + Send + Sync,
{
    fn delay(&self, cx: RetryContext<'_>) -> Result<Duration, Error> {
        self(cx)
    }
}

/// How many retries all calls together may make.
pub trait Budget: Send + Sync {
    /// A call has succeeded.
    fn deposit(&self);

    /// A call that began at `began` has succeeded. Called in the place of [`deposit`](Self::deposit) where that is known, which spares a
    /// budget that counts over a time to ask the clock.
    fn deposit_since(&self, began: Instant) {
        let _ = began;
        self.deposit();
    }

    /// Takes one retry, if there is one.
    fn withdraw(&self) -> bool;
}

macro_rules! debug_as {
    ($($policy:ident),*) => {$(
        impl fmt::Debug for dyn $policy {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($policy))
            }
        }
    )*};
}
debug_as!(RetryPolicy, Backoff, Budget);
