//! Looks after a pool while its owner lives.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::task::JoinHandle;

/// Between two looks at what is not needed.
const PERIOD: Duration = Duration::from_secs(5);

/// One task, begun when there is something to look after. It ends with this.
#[derive(Debug, Default)]
pub(in super::super) struct Sweeper {
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Sweeper {
    /// Has `sweep` done to `owner` from time to time, if that is not so already.
    pub(in super::super) fn look_after<T: Send + Sync + 'static>(
        &self,
        owner: &Arc<T>,
        sweep: fn(&T),
    ) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        // It has finished if its runtime has.
        if task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let owner = Arc::downgrade(owner);
        *task = Some(runtime.spawn(async move {
            loop {
                tokio::time::sleep(PERIOD).await;
                let Some(owner) = owner.upgrade() else { return };
                sweep(&owner);
            }
        }));
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        let task = self.task.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = task {
            task.abort();
        }
    }
}
