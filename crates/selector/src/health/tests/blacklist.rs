use super::*;

fn listing(nodes: usize) -> World {
    World::by(
        Arc::new(crate::RoundRobin),
        nodes,
        Health::Blacklist,
        Duration::ZERO,
    )
}

#[test]
fn three_failures_without_a_success_list_a_node() {
    let world = listing(2);
    world.fails("0", 2);
    world.does_well("0");
    world.fails("0", 2);
    assert!(world.is_used("0"));
    world.fails("0", 1);
    assert!(!world.is_used("0"));
    world.does_well("0");
    assert!(world.is_used("0"), "a success strikes it off");
}

#[test]
fn a_list_of_new_nodes_that_warm_up_is_kept_too() {
    let warming = Duration::from_secs(60);
    let world = World::by(Arc::new(crate::RoundRobin), 2, Health::Blacklist, warming);
    world.fails("0", 3);
    assert!(!world.is_used("0"));
}

#[test]
fn every_error_counts() {
    let world = listing(2);
    let node = world.node("0");
    let marks = [
        Mark::Failure(&ERROR, Fault::Elsewhere),
        Mark::Cancelled,
        Mark::TimedOut(Fault::Unknown),
    ];
    marks.iter().for_each(|mark| world.mark(&node, *mark));
    assert!(!world.is_used("0"));
}

#[test]
fn when_all_are_listed_the_selection_fails() {
    let world = listing(2);
    world.fails("0", 3);
    world.fails("1", 3);
    let answer = world.select(&SelectOptions::default());
    assert!(matches!(answer, Err(SelectError::NoneAvailable)));
}

#[test]
fn a_call_that_has_selected_does_not_hear_of_it() {
    let world = listing(2);
    let picker = world.select(&SelectOptions::default()).unwrap();
    world.fails("0", 3);
    let mut chosen = [picker.next().unwrap(), picker.next().unwrap()].map(|node| node.id.clone());
    chosen.sort();
    assert_eq!(chosen, ["0", "1"]);
}

/// go-micro's ticker comes every 30 s from the making of the selector, and drops what is 30 s old by then.
#[test]
fn it_lasts_until_the_first_tick_that_is_thirty_seconds_later() {
    let world = listing(2);
    world.pass(seconds(10));
    world.fails("0", 3);
    world.pass(seconds(49));
    assert!(!world.is_used("0"), "at 59 s");
    world.pass(seconds(1));
    assert!(
        world.is_used("0"),
        "at 60 s, though the tick at 30 s came too early"
    );
    world.pass(seconds(1));
    world.fails("0", 2);
    world.pass(seconds(59));
    world.fails("0", 1);
    assert!(
        world.is_used("0"),
        "failures are forgotten by the tick at 120 s"
    );
}

#[test]
fn each_failure_makes_it_last_longer() {
    let world = listing(2);
    world.fails("0", 3);
    world.pass(seconds(29));
    world.fails("0", 1);
    world.pass(seconds(30));
    assert!(!world.is_used("0"), "at 59 s");
    world.pass(seconds(1));
    assert!(world.is_used("0"), "at 60 s");
}

#[test]
fn a_service_without_nodes_is_none_available_when_it_is_selected() {
    let world = listing(0);
    world.hear(Change::Reset(vec![Service::new("greeter", "1")]));
    let answer = world.select(&SelectOptions::default());
    assert!(matches!(answer, Err(SelectError::NoneAvailable)));
}

#[test]
fn the_first_selection_of_a_service_heeds_the_list_too() {
    let world = listing(1);
    world.fails("0", 3);
    let other: ServiceName = "other".parse().unwrap();
    let pending = world.selector.select(&other, &SelectOptions::default());
    world.run();
    let answer = pending.now_or_never().unwrap();
    assert!(
        matches!(answer, Err(SelectError::NoneAvailable)),
        "ids are the same everywhere"
    );
}
