use super::*;

fn node(weight: &str) -> Node {
    let mut node = Node::new("a", "10.0.0.1:1");
    node.metadata.insert(WEIGHT.into(), weight.into());
    node
}

#[test]
fn a_bare_address_has_no_id_and_no_metadata() {
    let candidate = Candidate::at("10.0.0.1:1");
    assert_eq!(**candidate, Node::new("", "10.0.0.1:1"));
    assert_eq!((candidate.version(), candidate.weight()), ("", 1));
}

#[test]
fn a_weight_that_is_no_number_is_one() {
    for text in ["", "heavy", "-1", "1.5", "4294967296"] {
        assert_eq!(Candidate::new(node(text)).weight(), 1, "{text:?}");
    }
    assert_eq!(Candidate::new(node("0")).weight(), 0);
    assert_eq!(Candidate::new(node("4294967295")).weight(), u32::MAX);
}

#[test]
fn in_flight_is_in_balance_after_many_threads() {
    let candidate = Candidate::at("10.0.0.1:1");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    let _two = (candidate.begin(), candidate.begin());
                    assert!((2..=8).contains(&candidate.in_flight()));
                }
            });
        }
    });
    assert_eq!(candidate.in_flight(), 0);
}

#[test]
fn a_node_announced_anew_keeps_its_count() {
    let old = Candidate::with_version(node("1"), "v1");
    let attempt = old.begin();
    let new = old.announced_as(node("7"));
    assert_eq!((new.version(), new.weight(), new.in_flight()), ("v1", 7, 1));
    drop(attempt);
    assert_eq!(new.in_flight(), 0);
}

#[test]
fn a_node_that_moved_starts_from_nothing() {
    let old = Candidate::new(node("1"));
    let _attempt = old.begin();
    let new = old.announced_as(Node::new("a", "10.0.0.2:1"));
    assert_eq!((old.in_flight(), new.in_flight()), (1, 0));
}
