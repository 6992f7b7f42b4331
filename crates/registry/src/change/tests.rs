use std::collections::{BTreeMap, HashSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::{Endpoint, Metadata, Node};

fn node(id: &str) -> Node {
    Node::new(id, "10.0.0.7:8080")
}

fn service(version: &str, ids: &[&str]) -> Service {
    let service = Service::new("greeter", version);
    ids.iter()
        .fold(service, |service, id| service.with_node(node(id)))
}

fn fold(changes: impl IntoIterator<Item = Change>) -> Vec<Service> {
    let mut set = Vec::new();
    changes
        .into_iter()
        .for_each(|change| change.apply(&mut set));
    set
}

#[test]
fn new_nodes_come_before_those_that_were_there() {
    let set = fold([
        Change::Reset(vec![service("1", &["a", "b", "c"])]),
        Change::Put(service("1", &["d", "b"])),
    ]);
    assert_eq!(set, [service("1", &["d", "b", "a", "c"])]);
}

#[test]
fn an_unknown_version_is_appended() {
    let set = fold([
        Change::Put(service("2", &["a"])),
        Change::Put(service("1", &["a"])),
    ]);
    assert_eq!(set, [service("2", &["a"]), service("1", &["a"])]);
}

#[test]
fn a_put_replaces_metadata_endpoints_and_nodes_of_the_same_id() {
    let old = service("1", &["a"])
        .with_metadata("old", "yes")
        .with_endpoint(Endpoint::new("G.Old"));
    let new = Service::new("greeter", "1")
        .with_metadata("new", "yes")
        .with_endpoint(Endpoint::new("G.New"))
        .with_node(Node::new("a", "10.0.0.8:8080"));
    assert_eq!(fold([Change::Put(old), Change::Put(new.clone())]), [new]);
}

#[test]
fn a_version_without_nodes_left_is_dropped() {
    let set = fold([
        Change::Reset(vec![service("1", &["a"]), service("2", &["a", "b"])]),
        Change::Delete(service("1", &["a"])),
        Change::Delete(service("2", &["b"])),
    ]);
    assert_eq!(set, [service("2", &["a"])]);
}

#[test]
fn a_delete_without_nodes_takes_every_version_of_the_name() {
    let other = Service::new("other", "1").with_node(node("a"));
    let set = fold([
        Change::Reset(vec![
            service("1", &["a"]),
            other.clone(),
            service("2", &["b"]),
        ]),
        Change::Delete(service("3", &[])),
    ]);
    assert_eq!(set, [other]);
}

#[test]
fn a_put_without_nodes_is_passed_over() {
    let set = fold([
        Change::Put(service("1", &["a"])),
        Change::Put(service("1", &[]).with_metadata("k", "v")),
    ]);
    assert_eq!(set, [service("1", &["a"])]);
}

#[test]
fn a_reset_keeps_a_version_whose_nodes_are_all_down() {
    assert_eq!(
        fold([Change::Reset(vec![service("1", &[])])]),
        [service("1", &[])]
    );
}

#[test]
fn one_entry_for_each_node_is_gathered_by_version() {
    let set = fold([Change::Reset(vec![
        service("1", &["a"]),
        service("2", &["x"]),
        service("1", &["b"]).with_metadata("last", "word"),
    ])]);
    assert_eq!(
        set,
        [
            service("1", &["a", "b"]).with_metadata("last", "word"),
            service("2", &["x"])
        ]
    );
}

#[test]
fn of_two_nodes_with_one_id_the_last_is_kept_in_the_place_of_the_first() {
    let twice = service("1", &["a", "b"]).with_node(Node::new("a", "10.0.0.8:8080"));
    for change in [Change::Reset(vec![twice.clone()]), Change::Put(twice)] {
        let nodes = fold([change]).remove(0).nodes;
        assert_eq!(nodes, [Node::new("a", "10.0.0.8:8080"), node("b")]);
    }
}

/// What each version is known by, as slowly and plainly as can be.
type Model = BTreeMap<(String, String), (Metadata, BTreeMap<String, Node>)>;

fn tell(model: &mut Model, change: Change) {
    match change {
        Change::Reset(services) => {
            model.clear();
            services
                .into_iter()
                .for_each(|service| learn(model, service));
        }
        Change::Put(service) if service.nodes.is_empty() => {}
        Change::Put(service) => learn(model, service),
        Change::Delete(gone) if gone.nodes.is_empty() => {
            model.retain(|(name, _), _| *name != gone.name);
        }
        Change::Delete(gone) => forget(model, &gone),
    }
}

fn learn(model: &mut Model, service: Service) {
    let (metadata, nodes) = model.entry((service.name, service.version)).or_default();
    *metadata = service.metadata;
    nodes.extend(
        service
            .nodes
            .into_iter()
            .map(|node| (node.id.clone(), node)),
    );
}

fn forget(model: &mut Model, gone: &Service) {
    let key = (gone.name.clone(), gone.version.clone());
    let Some((_, nodes)) = model.get_mut(&key) else {
        return;
    };
    gone.nodes
        .iter()
        .for_each(|node| drop(nodes.remove(&node.id)));
    if nodes.is_empty() {
        model.remove(&key);
    }
}

fn as_model(set: Vec<Service>) -> Model {
    let mut model = Model::new();
    set.into_iter()
        .for_each(|service| learn(&mut model, service));
    model
}

prop_compose! {
    fn any_service()(
        name in "[xy]", version in "[12]", word in "[pq]?", nodes in vec(("[abcd]", 1..4u16), 0..5),
    ) -> Service {
        let nodes = nodes.into_iter().map(|(id, port)| Node::new(id, format!("h:{port}"))).collect();
        Service { nodes, ..Service::new(name, version).with_metadata("word", word) }
    }
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        1 => vec(any_service(), 0..4).prop_map(Change::Reset),
        4 => any_service().prop_map(Change::Put),
        4 => any_service().prop_map(Change::Delete),
    ]
}

proptest! {
    #[test]
    fn the_fold_agrees_with_the_naive_model(changes in vec(any_change(), 0..12)) {
        let mut model = Model::new();
        let mut set = Vec::new();
        for change in changes {
            tell(&mut model, change.clone());
            change.apply(&mut set);
            prop_assert_eq!(as_model(set.clone()), model.clone());
        }
    }

    #[test]
    fn no_version_and_no_id_is_there_twice(changes in vec(any_change(), 0..12)) {
        let mut seen = HashSet::new();
        for service in fold(changes) {
            for node in service.nodes {
                prop_assert!(seen.insert((service.name.clone(), service.version.clone(), node.id)));
            }
            prop_assert!(seen.insert((service.name, service.version, "no node".into())));
        }
    }

    #[test]
    fn nodes_that_stay_keep_their_order(before in vec("[a-f]", 0..6), put in vec("[a-f]", 1..4)) {
        let ids = |ids: &[String]| service("1", &ids.iter().map(String::as_str).collect::<Vec<_>>());
        let reset = Change::Reset(vec![ids(&before)]);
        let old = fold([reset.clone()]).remove(0).nodes;
        let new = fold([reset, Change::Put(ids(&put))]).remove(0).nodes;
        let stayed = old.iter().filter(|node| !put.contains(&node.id));
        prop_assert!(new.ends_with(&stayed.cloned().collect::<Vec<_>>()));
    }

    #[test]
    fn resetting_to_the_set_changes_nothing(changes in vec(any_change(), 0..12)) {
        let set = fold(changes);
        prop_assert_eq!(fold([Change::Reset(set.clone())]), set);
    }
}
