//! What filters leave.

use super::*;

#[test]
fn filters_leave_the_nodes_they_say_after_each_change() {
    let zone = |version: &str, id: &str, zone: &str| {
        let node = Node::new(id, "10.0.0.1:1").with_metadata("zone", zone);
        Service::new("greeter", version).with_node(node)
    };
    let world = World::knowing(&[
        zone("1", "n1", "a"),
        zone("2", "n2", "a"),
        zone("2", "n3", "b"),
    ]);
    let both = [Filter::label("zone", "a"), Filter::version("2")];
    let custom = [Filter::custom("zone a of 2", |service, node| {
        service.version() == "2" && node.metadata["zone"] == "a"
    })];
    for filters in [&both, &both, &custom[..]] {
        let next = world.left_by(filters).unwrap().next().unwrap();
        assert_eq!(next.id, "n2");
    }
    world.hear(Change::Delete(zone("2", "n2", "a")));
    world.hear(Change::Put(zone("2", "n4", "a")));
    for filters in [&both, &both, &custom[..]] {
        let next = world.left_by(filters).unwrap().next().unwrap();
        assert_eq!(next.id, "n4");
    }
}

#[test]
fn more_filters_than_are_remembered_still_leave_what_they_say() {
    let versions: Vec<_> = (0..40).map(|number| number.to_string()).collect();
    let world = World::knowing(
        &versions
            .iter()
            .map(|name| version(name, &[name]))
            .collect::<Vec<_>>(),
    );
    for name in versions.iter().chain(&versions) {
        let next = world
            .left_by(&[Filter::version(name)])
            .unwrap()
            .next()
            .unwrap();
        assert_eq!(next.id, *name);
    }
}
