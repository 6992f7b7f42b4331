//! What go-micro does: the recorded cases of its registry selector.

use super::*;

#[test]
fn nodes_registered_after_the_first_call_are_seen_and_deregistered_ones_are_not() {
    let world = World::knowing(&[version("1", &["a"])]);
    world.hear(Change::Put(version("1", &["b"])));
    assert_eq!(world.chosen(), ids(&["a", "b"]));
    world.hear(Change::Delete(version("1", &["a"])));
    assert_eq!(world.chosen(), ids(&["b"]));
}

#[test]
fn a_service_that_is_deregistered_altogether_is_not_found_any_more() {
    let world = World::knowing(&[version("1", &["a"])]);
    assert!(now(world.select()).is_ok());
    world.hear(Change::Delete(version("1", &["a"])));
    assert!(matches!(now(world.select()), Err(SelectError::NotFound)));
}

#[test]
fn a_service_that_was_never_registered_is_not_found() {
    let world = World::knowing(&[]);
    assert!(matches!(now(world.select()), Err(SelectError::NotFound)));
}

#[test]
fn filters_that_leave_no_service_fail_the_selection() {
    let world = World::knowing(&[version("1", &["n1"])]);
    for filter in [
        Filter::version("9"),
        Filter::endpoint("G.H"),
        Filter::label("zone", "a"),
    ] {
        let answer = world.left_by(std::slice::from_ref(&filter));
        assert!(
            matches!(answer, Err(SelectError::NoneAvailable)),
            "{filter:?}"
        );
    }
}

#[test]
fn filters_that_leave_a_service_without_nodes_fail_each_attempt() {
    let world = World::knowing(&[version("1", &[])]);
    let picker = world.left_by(&[Filter::version("1")]).unwrap();
    assert!(matches!(picker.next(), Err(SelectError::NoneAvailable)));
}
