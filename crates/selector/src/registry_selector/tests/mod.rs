mod filters;
mod nodes;
mod recorded;
mod scripted;
mod strategies;
mod watches;

use std::collections::BTreeSet;

use tower_micro_registry::{BoxFuture, Change, Error, Node, RegisterOptions, Service};

use super::*;
use crate::{Fault, Filter, Picker};
use scripted::{Scripted, Tasks};

fn greeter() -> ServiceName {
    "greeter".parse().unwrap()
}

fn version(version: &str, ids: &[&str]) -> Service {
    let service = Service::new("greeter", version);
    let node = |id: &&str| Node::new(*id, format!("{id}:1"));
    ids.iter().map(node).fold(service, Service::with_node)
}

/// A selector over a registry that is told what to say.
struct World {
    registry: Arc<Scripted>,
    tasks: Tasks,
    selector: RegistrySelector,
}

impl World {
    fn new() -> Self {
        let (registry, tasks) = (Arc::new(Scripted::default()), Tasks::default());
        let selector = RegistrySelector::new(registry.clone(), tasks.clone());
        Self {
            registry,
            tasks,
            selector,
        }
    }

    /// One that was called, and whose registry answered with `services`.
    fn knowing(services: &[Service]) -> Self {
        let world = Self::new();
        let _first_call = world.select();
        world.tasks.run();
        world.hear(Change::Reset(services.to_vec()));
        world
    }

    fn hear(&self, change: Change) {
        self.registry.say(Ok(change));
        self.tasks.run();
    }

    fn fail(&self) {
        self.registry.say(Err(down()));
        self.tasks.run();
    }

    fn select(&self) -> Selection {
        self.selector.select(&greeter(), &SelectOptions::default())
    }

    fn left_by(&self, filters: &[Filter]) -> Result<Picker, SelectError> {
        let options = SelectOptions {
            filters: filters.to_vec(),
            ..SelectOptions::default()
        };
        now(self.selector.select(&greeter(), &options))
    }

    fn candidate(&self, id: &str) -> Arc<Candidate> {
        let candidates = self.selector.candidates(&greeter());
        candidates
            .into_iter()
            .find(|candidate| candidate.id == id)
            .unwrap()
    }

    /// Who is chosen in many calls of one attempt.
    fn chosen(&self) -> BTreeSet<String> {
        let choose = |_| now(self.select()).unwrap().next().unwrap().id.clone();
        (0..200).map(choose).collect()
    }
}

fn down() -> Error {
    Error::unavailable("scripted", "down")
}

/// The answer of a selection that needs no waiting.
fn now(selection: Selection) -> Result<Picker, SelectError> {
    match selection {
        Selection::Ready(answer) => answer,
        Selection::Pending(_) => panic!("pending"),
    }
}

fn ids(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(ToString::to_string).collect()
}

#[test]
fn looking_begins_nothing() {
    let world = World::new();
    assert!(world.selector.candidates(&greeter()).is_empty());
    assert_eq!(
        (world.selector.skipped(&greeter()), world.tasks.alive()),
        (0, 0)
    );
    assert!(world.selector.trouble(&greeter()).is_none());
}

#[test]
fn a_selector_is_an_object_that_threads_share() {
    fn shared<T: Send + Sync + ?Sized>() {}
    shared::<dyn Selector>();
    shared::<Picker>();
    let selector: Arc<dyn Selector> = Arc::new(World::knowing(&[version("1", &["a"])]).selector);
    let selector = Arc::new(selector);
    assert_eq!(selector.name(), "registry");
    let picker = now(selector.select(&greeter(), &SelectOptions::default())).unwrap();
    selector.mark(
        &greeter(),
        &picker.next().unwrap(),
        Mark::TimedOut(Fault::Node),
    );
}
