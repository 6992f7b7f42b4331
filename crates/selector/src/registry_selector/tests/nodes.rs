//! Who is who, from one announcement to the next.

use super::*;

#[test]
fn a_removed_node_is_never_chosen_after_the_publication() {
    let names: Vec<_> = (0..9).map(|number| format!("n{number}")).collect();
    let mut left: Vec<_> = names.iter().map(String::as_str).collect();
    let world = World::knowing(&[version("1", &left)]);
    while left.len() > 1 {
        let gone = left.remove(left.len() / 2);
        world.hear(Change::Delete(version("1", &[gone])));
        assert_eq!(world.chosen(), ids(&left));
    }
}

#[test]
fn a_picker_keeps_to_the_nodes_it_was_made_with() {
    let world = World::knowing(&[version("1", &["a"])]);
    let picker = now(world.select()).unwrap();
    world.hear(Change::Reset(vec![version("1", &["b"])]));
    world.hear(Change::Put(version("1", &["c"])));
    world.hear(Change::Put(version("1", &["d"])));
    assert!((0..20).all(|_| picker.next().unwrap().id == "a"));
}

#[test]
fn a_node_that_is_announced_again_stays_the_same() {
    let world = World::knowing(&[version("1", &["a", "b"])]);
    let before = world.candidate("a");
    world.hear(Change::Put(version("1", &["a"])));
    assert!(Arc::ptr_eq(&before, &world.candidate("a")));
    world.hear(Change::Reset(vec![
        version("1", &["b", "a"]),
        version("2", &["a"]),
    ]));
    assert!(Arc::ptr_eq(&before, &world.candidate("a")));
}

#[test]
fn a_node_whose_metadata_changed_keeps_its_attempts_and_one_that_moved_does_not() {
    let announced = |node: Node| Service::new("greeter", "1").with_node(node);
    let world = World::knowing(&[version("1", &["a"])]);
    let _attempt = world.candidate("a").begin();
    world.hear(Change::Put(announced(
        Node::new("a", "a:1").with_metadata("weight", "3"),
    )));
    let heavier = world.candidate("a");
    assert_eq!(
        (heavier.weight(), heavier.version(), heavier.in_flight()),
        (3, "1", 1)
    );
    world.hear(Change::Reset(vec![announced(Node::new(
        "a",
        "elsewhere:1",
    ))]));
    assert_eq!(world.candidate("a").in_flight(), 0);
}

#[test]
fn a_node_whose_address_has_no_form_is_left_out_and_counted_until_it_is_mended() {
    let odd = |address: &str| Service::new("greeter", "1").with_node(Node::new("odd", address));
    let world = World::knowing(&[odd("http://no:1"), version("1", &["a"])]);
    assert_eq!(
        (world.selector.skipped(&greeter()), world.chosen()),
        (1, ids(&["a"]))
    );
    world.hear(Change::Put(odd("10.0.0.1:1")));
    assert_eq!(
        (world.selector.skipped(&greeter()), world.chosen()),
        (0, ids(&["a", "odd"]))
    );
    world.hear(Change::Put(odd("")));
    assert_eq!(
        (world.selector.skipped(&greeter()), world.chosen()),
        (1, ids(&["a"]))
    );
    world.hear(Change::Delete(odd("")));
    assert_eq!(
        (world.selector.skipped(&greeter()), world.chosen()),
        (0, ids(&["a"]))
    );
}
