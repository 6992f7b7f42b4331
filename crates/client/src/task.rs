//! Tasks that end with their owner.

use tokio::{runtime::Handle, task::JoinHandle};
use tower_micro_registry::BoxFuture;
use tower_micro_selector::{SpawnError, TaskGuard};

/// Ends its task when it is dropped.
#[derive(Debug)]
struct Abort(JoinHandle<()>);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs `future` on the current runtime until the guard is dropped.
pub(crate) fn spawn(future: BoxFuture<'static, ()>) -> Result<TaskGuard, SpawnError> {
    let runtime = Handle::try_current().map_err(|error| SpawnError::new(error.to_string()))?;
    Ok(Box::new(Abort(runtime.spawn(future))))
}
