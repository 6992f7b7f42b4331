mod blacklist;
mod model;
mod outlier;
mod simulation;
mod slow_start;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use tower_micro_registry::{
    BoxFuture, Change, Changes, Error, Node, RegisterOptions, Registry, Service, ServiceName,
};

use super::*;
use crate::clock::Instant;
use crate::{
    Candidate, P2c, Picker, RegistrySelector, SelectError, SelectOptions, Selection, Selector,
    Strategy, TaskGuard,
};

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A selector whose registry says what the test says, at the time the test says.
pub(super) struct World {
    pub(super) selector: RegistrySelector,
    registry: Arc<Said>,
    watching: Arc<Mutex<Option<BoxFuture<'static, ()>>>>,
    time: Arc<AtomicU64>,
    began: Instant,
}

/// All that was said so far; a watch hears it from the start.
#[derive(Debug, Default)]
struct Said(Arc<Mutex<Vec<Change>>>);

impl World {
    /// With nodes `0`, `1`, … chosen from by [`P2c`].
    pub(super) fn of(count: usize, health: impl Into<Health>) -> Self {
        Self::by(Arc::new(P2c), count, health.into(), Duration::ZERO)
    }

    pub(super) fn by(
        strategy: Arc<dyn Strategy>,
        count: usize,
        health: Health,
        slow_start: Duration,
    ) -> Self {
        let time = Arc::new(AtomicU64::new(0));
        let (began, turned) = (Instant::now(), Arc::clone(&time));
        let registry = Arc::new(Said::default());
        let watching = Arc::new(Mutex::new(None));
        let task = Arc::clone(&watching);
        let spawn = move |future: BoxFuture<'static, ()>| {
            *task.lock().unwrap() = Some(future);
            Ok(Box::new(()) as TaskGuard)
        };
        let selector = RegistrySelector::new(registry.clone(), spawn)
            .with_strategy(strategy)
            .with_clock(move || began + Duration::from_nanos(turned.load(Relaxed)))
            .with_health(health)
            .with_slow_start(slow_start);
        let world = Self {
            selector,
            registry,
            watching,
            time,
            began,
        };
        let nodes = (0..count).map(|number| number.to_string());
        world
            .registry
            .0
            .lock()
            .unwrap()
            .push(Change::Reset(vec![service(nodes)]));
        let _first = world.selector.select(&greeter(), &SelectOptions::default());
        world.run();
        world
    }

    fn run(&self) {
        if let Some(task) = &mut *self.watching.lock().unwrap() {
            assert!(task.now_or_never().is_none());
        }
    }

    pub(super) fn hear(&self, change: Change) {
        self.registry.0.lock().unwrap().push(change);
        self.run();
    }

    pub(super) fn add(&self, id: &str) {
        self.hear(Change::Put(service([id.to_owned()])));
    }

    pub(super) fn remove(&self, id: &str) {
        self.hear(Change::Delete(service([id.to_owned()])));
    }

    pub(super) fn pass(&self, time: Duration) {
        self.time.fetch_add(time.as_nanos() as u64, Relaxed);
    }

    pub(super) fn now(&self) -> Instant {
        self.began + Duration::from_nanos(self.time.load(Relaxed))
    }

    pub(super) fn select(&self, options: &SelectOptions) -> Result<Picker, SelectError> {
        match self.selector.select(&greeter(), options) {
            Selection::Ready(answer) => answer,
            Selection::Pending(_) => panic!("pending"),
        }
    }

    pub(super) fn pick(&self) -> Arc<Candidate> {
        self.select(&SelectOptions::default())
            .unwrap()
            .next()
            .unwrap()
    }

    pub(super) fn node(&self, id: &str) -> Arc<Candidate> {
        let all = self.selector.candidates(&greeter());
        all.into_iter().find(|node| node.id == id).unwrap()
    }

    pub(super) fn mark(&self, node: &Arc<Candidate>, mark: Mark<'_>) {
        self.selector.mark(&greeter(), node, mark);
    }

    pub(super) fn fails(&self, id: &str, times: usize) {
        let node = self.node(id);
        (0..times).for_each(|_| self.mark(&node, Mark::Failure(&ERROR, Fault::Node)));
    }

    pub(super) fn does_well(&self, id: &str) {
        self.mark(&self.node(id), Mark::Success);
    }

    /// Who is chosen how often in so many choices.
    pub(super) fn share(&self, id: &str, choices: usize) -> f64 {
        let chosen = (0..choices).filter(|_| self.pick().id == id).count();
        chosen as f64 / choices as f64
    }

    pub(super) fn is_used(&self, id: &str) -> bool {
        (0..100).any(|_| self.pick().id == id)
    }
}

pub(super) const ERROR: std::fmt::Error = std::fmt::Error;

pub(super) fn greeter() -> ServiceName {
    "greeter".parse().unwrap()
}

fn service(ids: impl IntoIterator<Item = String>) -> Service {
    let nodes = ids
        .into_iter()
        .map(|id| Node::new(id.clone(), format!("10.0.0.{id}:1")));
    nodes.fold(Service::new("greeter", "1"), Service::with_node)
}

impl Registry for Said {
    fn watch<'a>(&'a self, _: &'a ServiceName) -> BoxFuture<'a, Result<Changes, Error>> {
        let said = Arc::clone(&self.0);
        let mut heard = 0;
        let changes = stream::poll_fn(move |_| {
            let next = said.lock().unwrap().get(heard).cloned();
            heard += usize::from(next.is_some());
            next.map_or(std::task::Poll::Pending, |change| {
                std::task::Poll::Ready(Some(Ok(change)))
            })
        });
        Box::pin(async { Ok(changes.boxed()) })
    }

    fn register<'a>(
        &'a self,
        _: &'a Service,
        _: RegisterOptions,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async { Err(Error::read_only("said")) })
    }

    fn deregister<'a>(&'a self, _: &'a Service) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async { Err(Error::read_only("said")) })
    }

    fn services<'a>(&'a self) -> BoxFuture<'a, Result<Vec<ServiceName>, Error>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn name(&self) -> &'static str {
        "said"
    }
}
