//! Strategies, filters and the registry selector.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Map, Value, json};
use tower_micro::{
    Candidate, Filter, Memory, Node, Picker, Random, RegisterOptions, Registry, RegistrySelector,
    RoundRobin, SelectError, Selector, Service, ServiceName, Strategy,
    crates::selector::SelectOptions,
};

use super::{
    super::{events::shown_selecting, selector::spawn},
    Given, members, text, unknown,
};

/// The nodes of three versions, in the registry's order, where a scenario does not name its own.
const NODES: [&str; 6] = ["v0-n0", "v1-n0", "v1-n1", "v2-n0", "v2-n1", "v2-n2"];
/// More questions than any answer needs to be seen.
const MANY: usize = 64;

/// `selector.RoundRobin` and `selector.Random`.
pub(super) fn strategy(input: &Value) -> Map<String, Value> {
    let nodes = input["nodes"].as_array().into_iter().flatten();
    let mut nodes: Vec<_> = nodes.filter_map(Value::as_str).collect();
    if nodes.is_empty() {
        nodes = NODES.to_vec();
    }
    let count = |name: &str| input[name].as_u64().map_or(0, |count| count as usize);
    let mut given = members(json!({
        "random": nothing(Arc::new(Random)),
        "round_robin": nothing(Arc::new(RoundRobin)),
    }));
    given.extend(rounds(
        &nodes,
        count("strategies_made"),
        count("next_calls_each"),
    ));
    given.extend(chances(&nodes, count("next_calls")));
    given
}

fn picker(nodes: &[&str], strategy: Arc<dyn Strategy>) -> Picker {
    let candidates = nodes
        .iter()
        .map(|id| Candidate::new(Node::new(*id, "10.0.0.1:1")));
    Picker::one_of(candidates.collect(), strategy, false)
}

/// What a strategy without nodes answers.
fn nothing(strategy: Arc<dyn Strategy>) -> Value {
    let answer = picker(&[], strategy).next();
    answer.err().as_ref().map_or(Value::Null, shown_selecting)
}

/// The places of the nodes that are chosen, one after the other.
fn places(nodes: &[&str], strategy: Arc<dyn Strategy>, many: usize) -> Vec<usize> {
    let picker = picker(nodes, strategy);
    let place = |node: Arc<Candidate>| nodes.iter().position(|id| *id == node.id);
    let chosen = (0..many).filter_map(|_| picker.next().ok().and_then(place));
    chosen.collect()
}

fn rounds(nodes: &[&str], pickers: usize, each: usize) -> Map<String, Value> {
    let rounds: Vec<_> = (0..pickers)
        .map(|_| places(nodes, Arc::new(RoundRobin), each))
        .collect();
    let next_to = |pair: &[usize]| pair[1] == (pair[0] + 1) % nodes.len();
    let cyclic = rounds.iter().all(|round| round.windows(2).all(next_to));
    let first: BTreeSet<_> = rounds.iter().filter_map(|round| round.first()).collect();
    members(json!({
        "cyclic_in_registry_order": cyclic,
        "distinct_first_nodes": first.len(),
    }))
}

fn chances(nodes: &[&str], many: usize) -> Map<String, Value> {
    let mut counts = BTreeMap::new();
    for place in places(nodes, Arc::new(Random), many) {
        *counts.entry(place).or_insert(0_usize) += 1;
    }
    let fair = counts.values().all(|count| (800..=1200).contains(count));
    members(json!({
        "distinct_nodes": counts.len(),
        "each_within_20_percent_of_1000": fair,
    }))
}

/// `selector.FilterVersion`, `FilterEndpoint` and `FilterLabel`.
pub(super) fn filter(input: &Value) -> Given {
    let services = &input["services"];
    let described = text(input, "filter");
    let filter = filter_of(described).ok_or_else(|| unknown(described))?;
    let services: Vec<Service> =
        serde_json::from_value(services.clone()).map_err(|error| unknown(&error.to_string()))?;
    let left = Filter::apply(&[filter], &services);
    let left = left.iter().map(|service| {
        let nodes: Vec<_> = service.nodes.iter().map(|node| &node.id).collect();
        json!({"version": service.version, "nodes": nodes})
    });
    Ok(members(json!({"left": left.collect::<Vec<_>>()})))
}

/// `version=1`, `endpoint=A.B`, `label zone=a`; a value in quotes may be empty.
fn filter_of(described: &str) -> Option<Filter> {
    let (name, value) = described.split_once('=')?;
    let value = value.trim_matches('\'');
    Some(match (name, name.strip_prefix("label ")) {
        (_, Some(label)) => Filter::label(label, value),
        ("version", None) => Filter::version(value),
        ("endpoint", None) => Filter::endpoint(value),
        _ => return None,
    })
}

/// What is left, but for nodes that are announced with metadata of which there is none (`empty-metadata`).
pub(super) fn left_here(input: &Value, left: &Value) -> Value {
    let mut left = left.clone();
    if !text(input, "filter").ends_with("=''") {
        return left;
    }
    let empty = with_empty_metadata(&input["services"]);
    let versions = left.as_array_mut().into_iter().flatten();
    for nodes in versions.filter_map(|version| version["nodes"].as_array_mut()) {
        nodes.retain(|id| !empty.contains(&id));
    }
    if let Some(versions) = left.as_array_mut() {
        versions.retain(|version| version["nodes"] != json!([]));
    }
    left
}

/// The ids of these nodes, which Go tells from those that are announced without metadata.
fn with_empty_metadata(services: &Value) -> Vec<&Value> {
    let services = services.as_array().into_iter().flatten();
    let nodes = services.flat_map(|service| service["nodes"].as_array().into_iter().flatten());
    let empty = nodes.filter(|node| node["metadata"].as_object().is_some_and(Map::is_empty));
    empty.map(|node| &node["id"]).collect()
}

/// The registry selector, while the registry changes under it.
pub(super) async fn selector(expect: &Value) -> Map<String, Value> {
    if expect.get("after_register").is_some() {
        followed().await
    } else {
        removed().await
    }
}

/// A service whose nodes come and go.
struct Changing {
    registry: Memory,
    selector: RegistrySelector,
    name: ServiceName,
}

impl Changing {
    fn new() -> Self {
        let registry = Memory::new();
        let shared: Arc<dyn Registry> = Arc::new(registry.clone());
        let selector = RegistrySelector::new(shared, spawn);
        let name = ServiceName::new("svc").expect("a plain name");
        Self {
            registry,
            selector,
            name,
        }
    }

    fn service(&self, id: &str) -> Service {
        let node = Node::new(id, format!("{id}:1"));
        Service::new(self.name.as_str(), "1").with_node(node)
    }

    async fn register(&self, id: &str) {
        let (service, options) = (self.service(id), RegisterOptions::default());
        let registered = self.registry.register(&service, options).await;
        registered.expect("a node with an id and an address");
        settle().await;
    }

    async fn deregister(&self, id: &str) {
        let gone = self.registry.deregister(&self.service(id)).await;
        gone.expect("a node with an id and an address");
        settle().await;
    }

    async fn picker(&self) -> Result<Picker, SelectError> {
        let options = SelectOptions::default();
        self.selector.select(&self.name, &options).await
    }

    /// Ids and addresses of the nodes that can be chosen.
    async fn nodes(&self) -> BTreeMap<String, String> {
        let Ok(picker) = self.picker().await else {
            return BTreeMap::new();
        };
        let nodes = (0..MANY).filter_map(|_| picker.next().ok());
        nodes
            .map(|node| (node.id.clone(), node.address.clone()))
            .collect()
    }

    /// How `select` fails; null if it does not.
    async fn failure(&self) -> Value {
        let failure = self.picker().await.err();
        failure.as_ref().map_or(Value::Null, shown_selecting)
    }
}

/// Lets the task that watches the registry run.
async fn settle() {
    for _ in 0..MANY {
        tokio::task::yield_now().await;
    }
}

async fn followed() -> Map<String, Value> {
    let changing = Changing::new();
    changing.register("a").await;
    changing.nodes().await;
    changing.register("b").await;
    let registered = changing.nodes().await;
    changing.deregister("a").await;
    let deregistered = changing.nodes().await;
    members(json!({"after_register": registered, "after_deregister_of_a": deregistered}))
}

async fn removed() -> Map<String, Value> {
    let changing = Changing::new();
    changing.register("a").await;
    let first = changing.failure().await;
    changing.deregister("a").await;
    let gone = changing.failure().await;
    let never = Changing::new().failure().await;
    members(json!({"first": first, "after_deregister": gone, "never_registered": never}))
}
