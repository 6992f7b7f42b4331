//! Looks after a pool while its owner lives.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{runtime::Handle, task::JoinHandle};

/// Between two looks at what is not needed.
const PERIOD: Duration = Duration::from_secs(5);

/// Who is looked after.
pub(in super::super) trait Swept: Send + Sync + 'static {
    /// Lets go of what is not needed.
    fn sweep(&self);

    /// Has this looked after again when there is a call: the runtime that did so has ended.
    fn forsake(&self);

    /// Its sweeper.
    fn sweeper(&self) -> &Sweeper;
}

/// One task, begun when there is something to look after. It ends with this.
#[derive(Debug, Default)]
pub(in super::super) struct Sweeper {
    begun: AtomicBool,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Sweeper {
    /// Has `owner` swept from time to time, if that is not so already.
    pub(in super::super) fn look_after<T: Swept>(owner: &Arc<T>) {
        let this = owner.sweeper();
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if this.begun.swap(true, SeqCst) {
            return;
        }
        let looked_after = LookedAfter(Arc::downgrade(owner));
        let task = runtime.spawn(async move {
            loop {
                tokio::time::sleep(PERIOD).await;
                let Some(owner) = looked_after.0.upgrade() else {
                    return;
                };
                owner.sweep();
            }
        });
        *this.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }
}

/// Dropped before its owner if the runtime ends.
struct LookedAfter<T: Swept>(Weak<T>);

impl<T: Swept> Drop for LookedAfter<T> {
    fn drop(&mut self) {
        if let Some(owner) = self.0.upgrade() {
            owner.sweeper().begun.store(false, SeqCst);
            owner.forsake();
        }
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
