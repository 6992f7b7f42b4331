//! What a server handler was called with, and hands on to the calls it makes: go-micro's `context`.
//!
//! A handler that runs inside of [`scope`] gives its deadline and metadata to every call it makes from the same task, without
//! passing anything by hand. A task that the handler spawns is outside; wrap its future in [`scope`] with [`current`].
//!
//! # Example
//! ```
//! use tower_micro_call::{Ambient, ambient};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! ambient::scope(Ambient::new(), async {
//!     assert!(ambient::current().is_some());
//! }).await;
//! assert!(ambient::current().is_none());
//! # }
//! ```

use std::{future::Future, sync::Arc};

use tokio::{task::futures::TaskLocalFuture, time::Instant};

use crate::Metadata;

tokio::task_local! {
    static AMBIENT: Arc<Ambient>;
}

/// The inbound side of a call. See the [module docs](self).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Ambient {
    /// When the inbound call ends.
    pub deadline: Option<Instant>,
    /// What the caller sent along.
    pub metadata: Metadata,
    /// Whether the inbound call is a retry itself.
    pub is_retry: bool,
}

impl Ambient {
    /// No deadline, no metadata.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets when the inbound call ends.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }

    /// Says whether the inbound call is a retry itself.
    #[must_use]
    pub fn with_retry(mut self, is_retry: bool) -> Self {
        self.is_retry = is_retry;
        self
    }

    /// Sets what the caller sent along.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }
}

/// Runs `future` with `ambient` around it.
pub fn scope<F: Future>(
    ambient: impl Into<Arc<Ambient>>,
    future: F,
) -> TaskLocalFuture<Arc<Ambient>, F> {
    AMBIENT.scope(ambient.into(), future)
}

/// Runs `function` with `ambient` around it.
pub fn within<T>(ambient: impl Into<Arc<Ambient>>, function: impl FnOnce() -> T) -> T {
    AMBIENT.sync_scope(ambient.into(), function)
}

/// What the running task was called with, if it is inside of a [`scope`].
pub fn current() -> Option<Arc<Ambient>> {
    AMBIENT.try_with(Arc::clone).ok()
}
