use std::any::Any;

use tower_micro_registry::BoxFuture;

/// Owns a task: dropping it ends the task.
pub type TaskGuard = Box<dyn Any + Send + Sync>;

/// Runs a future in the background. Implemented for closures.
///
/// # Example
///
/// With tokio, whose `JoinSet` ends its tasks when it is dropped:
///
/// ```
/// use tokio::{runtime::Handle, task::JoinSet};
/// use tower_micro_registry::BoxFuture;
/// use tower_micro_selector::{Spawn, SpawnError, TaskGuard};
///
/// #[derive(Debug)]
/// struct Tokio;
///
/// impl Spawn for Tokio {
///     fn spawn(&self, future: BoxFuture<'static, ()>) -> Result<TaskGuard, SpawnError> {
///         let runtime = Handle::try_current().map_err(|error| SpawnError::new(error.to_string()))?;
///         let mut task = JoinSet::new();
///         task.spawn_on(future, &runtime);
///         Ok(Box::new(task))
///     }
/// }
/// ```
pub trait Spawn: Send + Sync {
    /// Runs `future` until it ends or the guard is dropped, whichever is first. Must not block, nor
    /// call the selector.
    ///
    /// # Errors
    ///
    /// There is nothing to run it on. The call that needed it fails; the next one tries again.
    fn spawn(&self, future: BoxFuture<'static, ()>) -> Result<TaskGuard, SpawnError>;
}

impl<F> Spawn for F
where
    F: Fn(BoxFuture<'static, ()>) -> Result<TaskGuard, SpawnError> + Send + Sync,
{
    fn spawn(&self, future: BoxFuture<'static, ()>) -> Result<TaskGuard, SpawnError> {
        self(future)
    }
}

/// The task that watches a service could not be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot start to watch the service: {reason}")]
pub struct SpawnError {
    reason: String,
}

impl SpawnError {
    /// Says why, and what to change.
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
        }
    }
}
