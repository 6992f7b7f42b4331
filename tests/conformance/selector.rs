//! The selectors of the scenarios, and one that writes down what any of them does.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::json;
use tokio::task::JoinSet;
use tower_micro::{
    Candidate, Endpoint, Mark, Memory, Node, Picker, RegisterOptions, Registry, RegistrySelector,
    SelectError, Selector, Service, ServiceName, Static,
    crates::{
        registry::BoxFuture,
        selector::{SelectOptions, Selection, TaskGuard},
    },
};

use super::{
    events::{shown_mark, shown_selecting},
    recorder::Recorder,
    scenario::{NodeInput, Selecting, SelectorKind, ServiceInput},
};

/// The selector that `input` describes, recorded.
pub(super) async fn recorded(input: &Selecting, recorder: &Recorder) -> Recording {
    let inner: Arc<dyn Selector> = match input.kind {
        SelectorKind::Fake => Arc::new(Fake::new(input)),
        SelectorKind::Static => Arc::new(Named),
        SelectorKind::Registry => Arc::new(of_registry(&input.services).await),
    };
    let recorder = recorder.clone();
    Recording { inner, recorder }
}

/// go-micro's default selector, over what the scenario registers.
async fn of_registry(services: &[ServiceInput]) -> RegistrySelector {
    let services = services.iter().map(ServiceInput::service);
    let registry: Arc<dyn Registry> = match services.clone().any(|part| part.nodes.is_empty()) {
        // Ours refuses to register what has no node; go-micro's memory registry does not.
        true => Arc::new(Static::new(services)),
        false => Arc::new(memory(services).await),
    };
    RegistrySelector::new(registry, spawn)
}

async fn memory(services: impl Iterator<Item = Service>) -> Memory {
    let registry = Memory::new();
    for service in services {
        let registered = registry
            .register(&service, RegisterOptions::default())
            .await;
        registered.expect("the scenario's services can be registered");
    }
    registry
}

/// Runs what watches the registry, until the selector is dropped.
pub(super) fn spawn(
    watching: BoxFuture<'static, ()>,
) -> Result<TaskGuard, tower_micro::crates::selector::SpawnError> {
    let mut task = JoinSet::new();
    task.spawn(watching);
    Ok(Box::new(task))
}

impl ServiceInput {
    fn service(&self) -> Service {
        let service = Service::new(&self.name, &self.version);
        let nodes = self.nodes.iter().map(NodeInput::node);
        let service = nodes.fold(service, Service::with_node);
        let endpoints = self.endpoints.iter().map(Endpoint::new);
        endpoints.fold(service, Service::with_endpoint)
    }
}

impl NodeInput {
    fn node(&self) -> Node {
        let labels = self.metadata.iter();
        labels.fold(Node::new(&self.id, &self.addr), |node, (key, value)| {
            node.with_metadata(key, value)
        })
    }
}

/// Hands out its nodes in turn, from the first at each `select`.
#[derive(Clone, Debug)]
struct Fake {
    input: Selecting,
    nodes: Vec<Arc<Candidate>>,
}

impl Fake {
    fn new(input: &Selecting) -> Self {
        let nodes = input.nodes.iter().map(|node| Candidate::new(node.node()));
        Self {
            input: input.clone(),
            nodes: nodes.collect(),
        }
    }

    fn nth(&self, number: usize) -> Result<Arc<Candidate>, SelectError> {
        if let Some(Some(failure)) = self.input.next_errs.get(number) {
            return Err(failure.selecting());
        }
        let index = number.checked_rem(self.nodes.len());
        let index = index.ok_or(SelectError::NoneAvailable)?;
        Ok(Arc::clone(&self.nodes[index]))
    }
}

impl Selector for Fake {
    fn select(&self, _: &ServiceName, _: &SelectOptions) -> Selection {
        if let Some(failure) = &self.input.select_err {
            return Selection::Ready(Err(failure.selecting()));
        }
        let (nodes, asked) = (self.clone(), AtomicUsize::new(0));
        let next = move || nodes.nth(asked.fetch_add(1, Ordering::Relaxed));
        Selection::Ready(Ok(Picker::new(next)))
    }

    fn name(&self) -> &'static str {
        "fake"
    }
}

/// go-micro's static selector: the name of the service is the node's id and address.
#[derive(Clone, Copy, Debug)]
struct Named;

impl Selector for Named {
    fn select(&self, service: &ServiceName, _: &SelectOptions) -> Selection {
        let node = Node::new(service.as_str(), service.as_str());
        Selection::Ready(Ok(Picker::fixed(Candidate::new(node))))
    }

    fn name(&self) -> &'static str {
        "static"
    }
}

/// Writes down what a selector is asked and what it answers.
#[derive(Clone, Debug)]
pub(super) struct Recording {
    inner: Arc<dyn Selector>,
    recorder: Recorder,
}

impl Recording {
    /// Writes down the answer to `select`, and has the picker's answers written down too.
    fn selected(
        &self,
        service: &ServiceName,
        answer: Result<Picker, SelectError>,
    ) -> Result<Picker, SelectError> {
        let err = answer.as_ref().err().map(shown_selecting);
        self.recorder
            .add(json!({"ev": "select", "service": service.as_str(), "err": err}));
        let (picker, recorder) = (answer?, self.recorder.clone());
        Ok(Picker::new(move || {
            let next = picker.next();
            recorder.add(match &next {
                Ok(node) => json!({"ev": "next", "node_id": node.id, "addr": node.address}),
                Err(error) => json!({"ev": "next", "err": shown_selecting(error)}),
            });
            next
        }))
    }
}

impl Selector for Recording {
    fn select(&self, service: &ServiceName, options: &SelectOptions) -> Selection {
        match self.inner.select(service, options) {
            Selection::Ready(answer) => Selection::Ready(self.selected(service, answer)),
            Selection::Pending(answer) => {
                let (recording, service) = (self.clone(), service.clone());
                Selection::Pending(Box::pin(async move {
                    let answer = answer.await;
                    recording.selected(&service, answer)
                }))
            }
        }
    }

    fn mark(&self, service: &ServiceName, node: &Arc<Candidate>, mark: Mark<'_>) {
        self.recorder.add(json!({
            "ev": "mark",
            "service": service.as_str(),
            "node_id": node.id,
            "addr": node.address,
            "err": shown_mark(mark),
        }));
        self.inner.mark(service, node, mark);
    }

    fn name(&self) -> &'static str {
        "recording"
    }
}
