use super::*;
use crate::{InFlight, PeakEwma, Random, Weighted};

fn starting_slowly(strategy: Arc<dyn Strategy>) -> World {
    World::by(strategy, 3, Outlier::default().into(), seconds(10))
}

#[test]
fn those_that_are_there_at_first_are_not_new() {
    fastrand::seed(1);
    let world = starting_slowly(Arc::new(Random));
    assert!((0.28..0.38).contains(&world.share("0", 3_000)));
}

#[test]
fn a_new_node_gets_its_share_little_by_little() {
    let strategies: [Arc<dyn Strategy>; 4] = [
        Arc::new(P2c),
        Arc::new(PeakEwma),
        Arc::new(Random),
        Arc::new(Weighted),
    ];
    for strategy in strategies {
        fastrand::seed(2);
        let name = strategy.name();
        let world = starting_slowly(strategy);
        world.add("3");
        let mut shares = Vec::new();
        for _ in 0..6 {
            shares.push(world.share("3", 4_000));
            world.pass(seconds(2));
        }
        assert!((0.01..0.06).contains(&shares[0]), "{name}: {shares:?}");
        assert!(
            shares.windows(2).all(|two| two[0] < two[1] + 0.02),
            "{name}: {shares:?}"
        );
        assert!((0.22..0.28).contains(&shares[5]), "{name}: {shares:?}");
    }
}

#[test]
fn a_node_that_is_back_is_as_good_as_new() {
    fastrand::seed(3);
    let world = starting_slowly(Arc::new(P2c));
    world.fails("0", 5);
    world.pass(seconds(1));
    assert!(world.is_used("0"));
    world.does_well("0");
    assert!(world.share("0", 3_000) < 0.1);
    world.pass(seconds(11));
    assert!((0.28..0.38).contains(&world.share("0", 3_000)));
}

#[test]
fn a_new_node_that_goes_before_its_time_leaves_choosing_as_it_was() {
    let world = starting_slowly(Arc::new(P2c));
    let is_attentive = || world.node("0").admission().unwrap().is_attentive();
    world.add("3");
    assert!(is_attentive());
    world.remove("3");
    world.pass(seconds(11));
    world.pick();
    assert!(!is_attentive());
}

#[test]
fn a_strategy_that_insists_gets_the_new_node() {
    #[derive(Debug)]
    struct Last;
    impl Strategy for Last {
        fn pick(&self, nodes: &crate::Candidates, _: &crate::Turn) -> Option<usize> {
            nodes.len().checked_sub(1)
        }
        fn name(&self) -> &'static str {
            "last"
        }
    }
    let world = starting_slowly(Arc::new(Last));
    world.add("3");
    assert!((0..20).all(|_| world.pick().id == "3"));
}

/// Holds calls at the nodes that have been there, ten each, and none at the new one: the least busy.
fn with_a_new_one_among_busy(strategy: Arc<dyn Strategy>, count: usize) -> (World, Vec<InFlight>) {
    let world = World::by(strategy, count - 1, Outlier::default().into(), seconds(10));
    let busy = (0..count - 1).flat_map(|number| {
        let node = world.node(&number.to_string());
        (0..10).map(move |_| node.begin())
    });
    let busy = busy.collect();
    world.add("9");
    (world, busy)
}

fn by_load() -> [Arc<dyn Strategy>; 2] {
    [Arc::new(P2c), Arc::new(PeakEwma)]
}

#[test]
fn a_new_node_among_busy_ones_gets_its_share_little_by_little() {
    for count in 2..=5 {
        for strategy in by_load() {
            fastrand::seed(4);
            let name = strategy.name();
            let (world, _busy) = with_a_new_one_among_busy(strategy, count);
            let due = 0.1 / count as f64;
            let share = world.share("9", 4_000);
            assert!(
                (0.8 * due..2.5 * due).contains(&share),
                "{name} of {count}: {share}"
            );
            world.pass(seconds(11));
            let share = world.share("9", 1_000);
            assert!(share > 1.0 / count as f64, "{name} of {count}: {share}");
        }
    }
}

#[test]
fn many_new_nodes_among_busy_ones_get_no_more_than_their_share() {
    for strategy in by_load() {
        fastrand::seed(5);
        let name = strategy.name();
        let (world, _busy) = with_a_new_one_among_busy(strategy, 5);
        ["5", "6", "7", "8"].iter().for_each(|id| world.add(id));
        let chosen = (0..4_000).filter(|_| world.pick().in_flight() == 0);
        let share = chosen.count() as f64 / 4_000.0;
        assert!((0.05..0.15).contains(&share), "{name}: {share}");
    }
}

#[test]
fn the_newest_of_nodes_that_are_all_new_gets_the_least() {
    for strategy in by_load() {
        fastrand::seed(6);
        let name = strategy.name();
        let (world, _busy) = with_a_new_one_among_busy(strategy, 2);
        world.remove("0");
        world.pass(seconds(5));
        let _busy: Vec<_> = (0..10).map(|_| world.node("9").begin()).collect();
        world.add("8");
        let share = world.share("8", 4_000);
        assert!((0.15..0.25).contains(&share), "{name}: {share}");
    }
}

#[test]
fn a_new_node_that_is_alone_gets_all_calls() {
    for strategy in by_load() {
        let (world, _busy) = with_a_new_one_among_busy(strategy, 2);
        world.remove("0");
        assert_eq!(world.share("9", 100), 1.0);
    }
}
