use std::sync::{Arc, Mutex, PoisonError, Weak};

use tower_micro_registry::{Registry, ServiceName};

use super::driver::{self, Heard, Publisher};
use super::set::Set;
use super::spawn::{Spawn, TaskGuard};
use crate::{Picker, SelectError, SelectOptions, Selection};

/// The watch of one service: its task, and what the task is begun with, and begun anew.
pub(super) struct Watch {
    pub(super) registry: Arc<dyn Registry>,
    pub(super) spawn: Arc<dyn Spawn>,
    pub(super) service: ServiceName,
    pub(super) set: Arc<Set>,
    pub(super) nothing_heard: Box<dyn Fn() -> Heard + Send + Sync>,
    pub(super) task: Mutex<Option<TaskGuard>>,
}

impl Watch {
    /// The answer to a call that has found none: it begins to watch, or waits for those who do.
    pub(super) fn select(self: &Arc<Self>, options: &SelectOptions) -> Selection {
        self.begin();
        let known = self.set.known(options);
        known.unwrap_or_else(|| self.wait(options.clone()))
    }

    /// Begins, unless somebody did so in the meantime.
    fn begin(&self) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.set.is_unattended() {
            return;
        }
        let heard = self.set.expect();
        let heard = heard.unwrap_or_else(|| (self.nothing_heard)());
        let publisher = Publisher::new(&self.set, heard);
        let registry = Arc::clone(&self.registry);
        let watching = Box::pin(driver::watch(registry, self.service.clone(), publisher));
        match self.spawn.spawn(watching) {
            Ok(guard) => *task = Some(guard),
            Err(error) => self.set.end(SelectError::other(error)),
        }
    }

    /// The answer when there is one.
    fn wait(self: &Arc<Self>, options: SelectOptions) -> Selection {
        let (set, watch) = (Arc::clone(&self.set), Arc::downgrade(self));
        Selection::Pending(Box::pin(
            async move { settled(&set, &watch, &options).await },
        ))
    }
}

/// A task may be stopped because its runtime has ended, which need not be that of the call that waits. One that is stopped as soon as it is
/// begun runs nowhere.
async fn settled(
    set: &Arc<Set>,
    watch: &Weak<Watch>,
    options: &SelectOptions,
) -> Result<Picker, SelectError> {
    loop {
        if set.is_stopped()
            && let Some(watch) = watch.upgrade()
        {
            watch.begin();
        }
        let changed = set.changed();
        if let Some(answer) = set.settled(options) {
            return answer;
        }
        changed.await;
    }
}
