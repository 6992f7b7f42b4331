use super::*;
use crate::{PeakEwma, Random, Weighted};

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
