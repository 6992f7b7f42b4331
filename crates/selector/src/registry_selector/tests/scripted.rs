//! A registry that says what the test tells it to, and tasks that run when the test says so.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tower_micro_registry::Changes;

use super::*;

type Word = Result<Change, Error>;

/// Each watch hears what is said after it began, and panics where that is [`Error::ReadOnly`].
#[derive(Debug, Default)]
pub(super) struct Scripted {
    watches: Mutex<Vec<UnboundedSender<Word>>>,
    pub(super) refusal: Mutex<Option<Error>>,
    /// Whether they go on after a failure.
    pub(super) keeps_watching: AtomicBool,
}

impl Scripted {
    pub(super) fn say(&self, word: Word) {
        let watches = self.watches.lock().unwrap();
        watches
            .last()
            .expect("nobody watches")
            .send(word)
            .expect("nobody listens");
    }

    /// Ends all watches.
    pub(super) fn hang_up(&self) {
        self.watches.lock().unwrap().clear();
    }

    /// How many watches have begun and were not ended here.
    pub(super) fn watches(&self) -> usize {
        self.watches.lock().unwrap().len()
    }
}

impl Registry for Scripted {
    fn watch<'a>(&'a self, _service: &'a ServiceName) -> BoxFuture<'a, Result<Changes, Error>> {
        if let Some(error) = self.refusal.lock().unwrap().clone() {
            return Box::pin(async { Err(error) });
        }
        let (speaker, listener) = unbounded_channel();
        self.watches.lock().unwrap().push(speaker);
        let next = |mut listener: tokio::sync::mpsc::UnboundedReceiver<Word>| async {
            let word = listener.recv().await?;
            assert!(
                !matches!(word, Err(Error::ReadOnly { .. })),
                "as it was told"
            );
            Some((word, listener))
        };
        let changes = stream::unfold(listener, next).boxed();
        Box::pin(async { Ok(changes) })
    }

    fn register<'a>(
        &'a self,
        _: &'a Service,
        _: RegisterOptions,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async { Err(Error::read_only("scripted")) })
    }

    fn deregister<'a>(&'a self, _: &'a Service) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async { Err(Error::read_only("scripted")) })
    }

    fn services<'a>(&'a self) -> BoxFuture<'a, Result<Vec<ServiceName>, Error>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn name(&self) -> &'static str {
        "scripted"
    }

    fn keeps_watching(&self) -> bool {
        self.keeps_watching.load(Relaxed)
    }
}

/// Runs tasks one step at a time.
#[derive(Clone, Default)]
pub(super) struct Tasks(Arc<Mutex<Running>>);

#[derive(Default)]
struct Running {
    begun: usize,
    tasks: BTreeMap<usize, BoxFuture<'static, ()>>,
}

impl Tasks {
    /// Runs every task until it waits, or has others run. One that panics is over, as on tokio.
    pub(super) fn run(&self) {
        let tasks = &mut self.0.lock().unwrap().tasks;
        let run = |task: &mut BoxFuture<'static, ()>| {
            AssertUnwindSafe(task).catch_unwind().now_or_never()
        };
        tasks.retain(|_, task| run(task).is_none());
    }

    /// Drops every task, as a runtime does that ends.
    pub(super) fn stop(&self) {
        let stopped = std::mem::take(&mut self.0.lock().unwrap().tasks);
        drop(stopped);
    }

    /// How many tasks have neither ended nor been ended.
    pub(super) fn alive(&self) -> usize {
        self.0.lock().unwrap().tasks.len()
    }
}

impl Spawn for Tasks {
    fn spawn(&self, future: BoxFuture<'static, ()>) -> Result<TaskGuard, SpawnError> {
        let mut running = self.0.lock().unwrap();
        running.begun += 1;
        let number = running.begun;
        running.tasks.insert(number, future);
        Ok(Box::new(Guard {
            tasks: self.clone(),
            number,
        }))
    }
}

struct Guard {
    tasks: Tasks,
    number: usize,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let task = self.tasks.0.lock().unwrap().tasks.remove(&self.number);
        drop(task);
    }
}
