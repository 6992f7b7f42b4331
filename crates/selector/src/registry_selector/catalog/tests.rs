use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::{
    Just, any, prop_assert, prop_assert_eq, prop_compose, prop_oneof, proptest,
};
use proptest::strategy::Strategy as Generate;

use super::*;
use crate::candidate::WEIGHT;
use crate::{Random, RingHash, SelectOptions};

fn catalog() -> Catalog {
    Catalog::new(Arc::new(Random), None)
}

fn version(version: &str, ids: &[&str]) -> Service {
    let service = Service::new("greeter", version);
    let node = |id: &&str| Node::new(*id, "10.0.0.1:1");
    ids.iter().map(node).fold(service, Service::with_node)
}

fn ids(catalog: &mut Catalog) -> Vec<String> {
    catalog
        .list()
        .iter()
        .map(|candidate| candidate.id.clone())
        .collect()
}

#[test]
fn what_is_known_already_is_no_change() {
    let mut catalog = catalog();
    let all = || Change::Reset(vec![version("1", &["a", "b"]), version("2", &[])]);
    assert!(catalog.apply(all()));
    let nothing_new = [
        all(),
        Change::Put(version("1", &["b"])),
        Change::Put(version("3", &[])),
        Change::Delete(version("1", &["c"])),
        Change::Delete(version("3", &["a"])),
        Change::Delete(Service::new("other", "1")),
    ];
    for change in nothing_new {
        assert!(!catalog.apply(change.clone()), "{change:?}");
    }
    assert!(catalog.apply(Change::Put(
        version("1", &["b"]).with_metadata("new", "word")
    )));
    assert!(catalog.apply(Change::Delete(version("1", &["a"]))));
    assert!(catalog.apply(Change::Delete(version("9", &[]))));
    assert!(!catalog.apply(Change::Reset(Vec::new())));
}

#[test]
fn a_ring_that_calls_went_by_is_there_when_nodes_come() {
    let mut catalog = catalog();
    assert!(catalog.apply(Change::Put(version("1", &["a", "b"]))));
    let choice = |snapshot: &Snapshot, strategy: Arc<dyn Strategy>| {
        let options = SelectOptions {
            strategy: Some(strategy),
            ..SelectOptions::default()
        };
        snapshot.choice(&options).unwrap();
    };
    let first = catalog.snapshot();
    choice(&first, Arc::new(Random));
    assert!(first.candidates().ring().is_none());
    choice(&first, Arc::new(RingHash));
    assert!(first.candidates().ring().is_some());
    for id in ["c", "d"] {
        assert!(catalog.apply(Change::Put(version("1", &[id]))));
        assert!(catalog.snapshot().candidates().ring().is_some());
    }
}

#[test]
fn a_node_that_goes_is_told_and_one_that_stays_is_not() {
    let goes: [(Change, &[&str]); 4] = [
        (Change::Delete(version("1", &["a"])), &["a"]),
        (Change::Delete(Service::new("greeter", "1")), &["a", "b"]),
        (Change::Reset(vec![version("1", &["b"])]), &["a"]),
        (Change::Put(moved("b")), &["b"]),
    ];
    for (change, gone) in goes {
        let mut catalog = catalog();
        catalog.apply(Change::Reset(vec![version("1", &["a", "b"])]));
        let nodes = catalog.list();
        catalog.apply(change.clone());
        let departed = nodes.iter().filter(|node| node.has_departed());
        let departed: Vec<_> = departed.map(|node| node.id.as_str()).collect();
        assert_eq!(departed, gone, "{change:?}");
        let listed = catalog.list();
        assert!(!listed.iter().any(|node| node.has_departed()));
    }
}

fn moved(id: &str) -> Service {
    Service::new("greeter", "1").with_node(Node::new(id, "10.0.0.9:1"))
}

#[test]
fn a_version_without_nodes_goes_when_any_node_of_it_goes() {
    let mut catalog = catalog();
    catalog.apply(Change::Reset(vec![version("1", &[])]));
    assert!(catalog.apply(Change::Delete(version("1", &["unknown"]))));
    assert!(catalog.snapshot().parts().is_empty());
}

#[test]
fn a_node_keeps_its_place_while_others_come_and_go() {
    let mut catalog = catalog();
    catalog.apply(Change::Reset(vec![version("1", &["a", "b", "c"])]));
    catalog.apply(Change::Put(
        version("1", &["d"]).with_metadata("new", "word"),
    ));
    assert_eq!(ids(&mut catalog), ["a", "b", "c", "d"]);
    catalog.apply(Change::Delete(version("1", &["b"])));
    assert_eq!(
        ids(&mut catalog),
        ["a", "d", "c"],
        "the last one fills the gap"
    );
}

#[test]
fn of_two_nodes_with_one_id_the_last_word_holds() {
    let twice = version("1", &["a", "b"]).with_node(Node::new("a", "10.0.0.2:1"));
    for change in [Change::Reset(vec![twice.clone()]), Change::Put(twice)] {
        let mut catalog = catalog();
        catalog.apply(change);
        assert_eq!(ids(&mut catalog), ["a", "b"]);
        assert_eq!(catalog.list()[0].address, "10.0.0.2:1");
    }
}

/// Versions with all but their nodes, and the nodes that can be dialled.
type Content = BTreeMap<(String, String), (Service, BTreeMap<String, Node>)>;

fn folded(services: &[Service]) -> Content {
    let usable = |node: &&Node| node.check_address().is_ok();
    let nodes = |service: &Service| {
        service
            .nodes
            .iter()
            .filter(usable)
            .map(|node| (node.id.clone(), node.clone()))
            .collect()
    };
    let entry = |service: &Service| {
        let bare = Service {
            nodes: Vec::new(),
            ..service.clone()
        };
        (
            (service.name.clone(), service.version.clone()),
            (bare, nodes(service)),
        )
    };
    services.iter().map(entry).collect()
}

fn content(snapshot: &Snapshot) -> Content {
    let nodes = |part: &snapshot::Part| {
        let nodes = &snapshot.candidates()[part.nodes.clone()];
        assert!(
            nodes
                .iter()
                .all(|node| node.version() == part.service.version)
        );
        nodes
            .iter()
            .map(|node| (node.id.clone(), Node::clone(node)))
            .collect()
    };
    let entry = |part: &snapshot::Part| {
        let service = Service::clone(&part.service);
        (
            (service.name.clone(), service.version.clone()),
            (service, nodes(part)),
        )
    };
    snapshot.parts().iter().map(entry).collect()
}

prop_compose! {
    fn any_service()(
        name in "[xy]", version in "[12]", word in "[pq]?", nodes in vec(("[abcd]", 0..4_u16, 0..6_u32), 0..5),
    ) -> Service {
        // Port 0 cannot be dialled. Half of them say no weight.
        let node = |(id, port, weight): (String, u16, u32)| {
            let node = Node::new(id, format!("h:{port}"));
            if weight < 3 { node.with_metadata(WEIGHT, weight.to_string()) } else { node }
        };
        let nodes = nodes.into_iter().map(node).collect();
        Service { nodes, ..Service::new(name, version).with_metadata("word", word) }
    }
}

fn any_change() -> impl Generate<Value = Change> {
    prop_oneof![
        1 => vec(any_service(), 0..4).prop_map(Change::Reset),
        1 => Just(Change::Reset(Vec::new())),
        4 => any_service().prop_map(Change::Put),
        4 => any_service().prop_map(Change::Delete),
    ]
}

proptest! {
    #[test]
    fn the_catalog_holds_what_the_fold_of_the_changes_holds(
        changes in vec((any_change(), any::<bool>(), any::<bool>()), 0..20),
    ) {
        let (mut catalog, mut set) = (catalog(), Vec::new());
        let (mut held, mut last) = (Vec::new(), None);
        for (change, publish, hold) in changes {
            let before = folded(&set);
            change.clone().apply(&mut set);
            let changed = catalog.apply(change);
            prop_assert!(changed || before == folded(&set), "a change was missed");
            if publish {
                let snapshot = catalog.snapshot();
                prop_assert_eq!(content(&snapshot), folded(&set));
                let all: usize = set.iter().map(|service| service.nodes.len()).sum();
                prop_assert_eq!(snapshot.candidates().len() + snapshot.skipped(), all);
                let anew = Candidates::new(snapshot.candidates().to_vec());
                let weights = snapshot.candidates().cumulative_weights();
                prop_assert_eq!(weights, anew.cumulative_weights());
                // Some calls hold a snapshot for long; those must not see it written over.
                if hold {
                    held.push((content(&snapshot), snapshot.choice(&SelectOptions::default()), snapshot));
                } else {
                    last = Some(snapshot);
                }
            }
        }
        for (before, _picker, snapshot) in &held {
            prop_assert_eq!(&content(snapshot), before);
        }
        drop(last);
    }
}
