//! Who chooses.

use super::*;
use crate::RoundRobinShared;

#[test]
fn round_robin_shared_goes_on_from_call_to_call_and_over_changes() {
    let strategy = Arc::new(RoundRobinShared::new());
    let mut world = World::new();
    world.selector = world.selector.with_strategy(strategy);
    let _first_call = world.select();
    world.tasks.run();
    world.hear(Change::Reset(vec![version("1", &["a", "b", "c"])]));
    let next = || now(world.select()).unwrap().next().unwrap().id.clone();
    let before = [next(), next()];
    world.hear(Change::Put(version("2", &[]).with_metadata("no", "change")));
    world.hear(Change::Put(
        version("1", &["a"]).with_metadata("a", "change"),
    ));
    assert!(!before.contains(&next()));
}

#[test]
fn a_call_that_names_a_strategy_is_served_by_it() {
    #[derive(Debug)]
    struct Place(usize);
    impl Strategy for Place {
        fn pick(&self, _nodes: &crate::Candidates, _turn: &crate::Turn) -> Option<usize> {
            Some(self.0)
        }
        fn name(&self) -> &'static str {
            "place"
        }
    }
    let world = World::knowing(&[version("1", &["a", "b", "c"])]);
    let places = [0, 1, 2].map(|place| Arc::new(Place(place)) as Arc<dyn Strategy>);
    for filters in [
        vec![],
        vec![Filter::version("1")],
        vec![Filter::custom("all", |_, _| true)],
    ] {
        for (place, id) in places
            .iter()
            .zip(["a", "b", "c"])
            .chain(places.iter().zip(["a", "b", "c"]))
        {
            let options = SelectOptions {
                filters: filters.clone(),
                strategy: Some(Arc::clone(place)),
                ..SelectOptions::default()
            };
            let picker = now(world.selector.select(&greeter(), &options)).unwrap();
            assert_eq!(picker.next().unwrap().id, id, "{filters:?}");
        }
    }
}
