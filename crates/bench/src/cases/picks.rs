//! Choosing a node, without a call around it.

use std::{hint::black_box, sync::Arc};

use tokio::{runtime::Runtime, task::JoinSet};
use tower_micro::{
    P2c, RegistrySelector, RingHash, Selector, ServiceName, Static, Strategy,
    crates::{
        registry::BoxFuture,
        selector::{SelectOptions, TaskGuard},
    },
};

use crate::{
    calls::runtime,
    case::Case,
    cost::{Cost, Run},
    goal::Goal,
};

pub(super) const CASES: &[Case] = &[
    Case::new("pick-3", || Box::new(Picks::among(3))).goal(Goal::nanoseconds(60.0)),
    Case::new("pick-100", || Box::new(Picks::among(100))).goal(Goal::nanoseconds(60.0)),
    Case::new("pick-10000", || Box::new(Picks::among(10_000))).goal(Goal::nanoseconds(60.0)),
    Case::new("pick-by-key-1000", || Box::new(PicksByKey::among(1_000)))
        .goal(Goal::nanoseconds(110.0)),
];

/// The service that is called.
pub(super) fn greeter() -> ServiceName {
    ServiceName::new("greeter").expect("letters only")
}

/// A registry in which it has so many nodes.
pub(super) fn registry(nodes: u16) -> Static {
    let addresses = (0..nodes).map(|node| format!("10.0.{}.{}:8080", node / 256, node % 256));
    Static::addresses("greeter", addresses).expect("they are host:port")
}

/// A selector over them. The task that watches runs on the current runtime.
pub(super) fn selector(nodes: u16) -> RegistrySelector {
    let spawn = |watching: BoxFuture<'static, ()>| {
        let mut task = JoinSet::new();
        task.spawn(watching);
        Ok(Box::new(task) as TaskGuard)
    };
    RegistrySelector::new(Arc::new(registry(nodes)), spawn)
}

/// `select`, `choose`, and the count of the attempt, as a call with the options of `Preset::Standard` does it.
struct Picks {
    selector: RegistrySelector,
    service: ServiceName,
    options: SelectOptions,
    _watching: Arc<Runtime>,
}

impl Picks {
    fn among(nodes: u16) -> Self {
        Self::by(P2c, nodes)
    }

    fn by(strategy: impl Strategy + 'static, nodes: u16) -> Self {
        let runtime = runtime();
        let (selector, service) = (selector(nodes), greeter());
        let options = SelectOptions {
            strategy: Some(Arc::new(strategy)),
            avoid_tried: true,
            ..SelectOptions::default()
        };
        let first = runtime.block_on(async { selector.select(&service, &options).await });
        first.expect("it has nodes");
        Self {
            selector,
            service,
            options,
            _watching: runtime,
        }
    }

    fn pick(&self) {
        use tower_micro::crates::selector::Selection;
        let Selection::Ready(Ok(picker)) = self.selector.select(&self.service, &self.options)
        else {
            unreachable!("the registry has answered before");
        };
        let chosen = picker.choose().expect("it has nodes");
        let node = chosen.node(Some(&picker)).expect("it is the picker's");
        node.enter();
        black_box(node).leave();
    }
}

impl Run for Picks {
    fn run(&mut self, calls: u64) -> Cost {
        Cost::of(|| (0..calls).for_each(|_| self.pick()))
    }
}

/// The same by [`RingHash`], for one key after the other.
struct PicksByKey(Picks);

impl PicksByKey {
    fn among(nodes: u16) -> Self {
        Self(Picks::by(RingHash, nodes))
    }
}

impl Run for PicksByKey {
    fn run(&mut self, calls: u64) -> Cost {
        Cost::of(|| {
            for key in 0..calls {
                self.0.options.hash_key = Some(key);
                self.0.pick();
            }
        })
    }
}
