use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use proptest::prelude::{prop_assert, proptest};
use tower_micro_registry::Node;

use super::*;
use crate::candidate::WEIGHT;
use crate::{Candidate, Picker, SelectError};

fn nodes(count: usize) -> Vec<Arc<Candidate>> {
    let node = |number| Candidate::new(Node::new(format!("n{number}"), "10.0.0.1:1"));
    (0..count).map(node).collect()
}

fn weighing(weights: &[u32]) -> Candidates {
    let node =
        |weight: &u32| Node::new("n", "10.0.0.1:1").with_metadata(WEIGHT, weight.to_string());
    Candidates::new(
        weights
            .iter()
            .map(|weight| Candidate::new(node(weight)))
            .collect(),
    )
}

fn every_strategy() -> Vec<Arc<dyn Strategy>> {
    vec![
        Arc::new(Random),
        Arc::new(RoundRobin),
        Arc::new(RoundRobinShared::new()),
        Arc::new(P2c),
        Arc::new(Weighted),
        Arc::new(RingHash),
    ]
}

fn place(nodes: &[Arc<Candidate>], one: &Arc<Candidate>) -> usize {
    nodes
        .iter()
        .position(|node| Arc::ptr_eq(node, one))
        .unwrap()
}

/// How often each node is chosen.
fn counts(strategy: &dyn Strategy, nodes: &Candidates, turns: usize) -> Vec<usize> {
    let mut counts = vec![0; nodes.len()];
    for _ in 0..turns {
        counts[strategy.pick(nodes, &Turn::default()).unwrap()] += 1;
    }
    counts
}

#[test]
fn without_nodes_every_strategy_says_none_available() {
    for strategy in every_strategy() {
        for avoid_tried in [false, true] {
            let picker = Picker::one_of(Vec::new(), Arc::clone(&strategy), avoid_tried);
            assert!(
                matches!(picker.next(), Err(SelectError::NoneAvailable)),
                "{}",
                strategy.name()
            );
        }
    }
}

#[test]
fn a_single_node_is_always_chosen() {
    for strategy in every_strategy() {
        assert_eq!(
            counts(&*strategy, &Candidates::new(nodes(1)), 5),
            [5],
            "{}",
            strategy.name()
        );
    }
}

/// go-micro v2.9.1, recorded: 200 strategies over six nodes, twelve answers each.
#[test]
fn round_robin_starts_anywhere_and_goes_in_order() {
    fastrand::seed(1);
    let nodes = nodes(6);
    let mut firsts = HashSet::new();
    for _ in 0..200 {
        let picker = Picker::one_of(nodes.clone(), Arc::new(RoundRobin), false);
        let places: Vec<_> = (0..12)
            .map(|_| place(&nodes, &picker.next().unwrap()))
            .collect();
        assert!(
            places.windows(2).all(|pair| pair[1] == (pair[0] + 1) % 6),
            "{places:?}"
        );
        firsts.insert(places[0]);
    }
    assert_eq!(firsts.len(), 6);
}

/// go-micro v2.9.1, recorded: 6000 answers over six nodes, each within 20 % of 1000.
#[test]
fn random_takes_every_node_about_as_often() {
    fastrand::seed(2);
    let counts = counts(&Random, &Candidates::new(nodes(6)), 6_000);
    assert!(
        counts.iter().all(|count| (800..=1_200).contains(count)),
        "{counts:?}"
    );
}

#[test]
fn round_robin_keeps_its_order_where_the_start_is_near_its_end() {
    let nodes = Candidates::new(nodes(3));
    let turn = |number| Turn {
        number,
        start: u64::MAX,
        hash_key: None,
    };
    let places: Vec<_> = (0..4)
        .map(|number| RoundRobin.pick(&nodes, &turn(number)))
        .collect();
    assert_eq!(places, [Some(0), Some(1), Some(2), Some(0)]);
}

#[test]
fn round_robin_shared_is_fair_to_two_services_that_are_called_in_turns() {
    let list = || Candidates::with_cursor(nodes(2), Arc::new(AtomicUsize::new(0)));
    let (one, another, strategy) = (list(), list(), RoundRobinShared::new());
    let mut seen = [[0; 2]; 2];
    for _ in 0..10 {
        seen[0][strategy.pick(&one, &Turn::default()).unwrap()] += 1;
        seen[1][strategy.pick(&another, &Turn::default()).unwrap()] += 1;
    }
    assert_eq!(seen, [[5, 5], [5, 5]]);
}

#[test]
fn p2c_never_takes_the_busier_of_two() {
    let list = nodes(2);
    let _attempt = list[0].begin();
    assert_eq!(counts(&P2c, &Candidates::new(list), 100), [0, 100]);
}

#[test]
fn p2c_takes_idle_nodes_about_as_often() {
    fastrand::seed(3);
    let counts = counts(&P2c, &Candidates::new(nodes(6)), 6_000);
    assert!(
        counts.iter().all(|count| (800..=1_200).contains(count)),
        "{counts:?}"
    );
}

#[test]
fn p2c_spreads_attempts_under_way_more_evenly_than_random() {
    fastrand::seed(4);
    let spread = |strategy: &dyn Strategy| {
        let nodes = Candidates::new(nodes(20));
        let pick = |_| nodes[strategy.pick(&nodes, &Turn::default()).unwrap()].begin();
        let _under_way: Vec<_> = (0..2_000).map(pick).collect();
        let busy = nodes.iter().map(|node| node.in_flight());
        busy.clone().max().unwrap() - busy.min().unwrap()
    };
    let (two_choices, one_choice) = (spread(&P2c), spread(&Random));
    assert!(two_choices <= 6, "{two_choices}");
    assert!(
        one_choice > 3 * two_choices,
        "{one_choice} and {two_choices}"
    );
}

#[test]
fn weighted_gives_each_node_its_share_and_a_node_of_weight_zero_nothing() {
    fastrand::seed(5);
    let counts = counts(&Weighted, &weighing(&[1, 0, 3, 6]), 10_000);
    let shares = [900..1_100, 0..1, 2_700..3_300, 5_700..6_300];
    assert!(
        counts
            .iter()
            .zip(&shares)
            .all(|(count, share)| share.contains(count)),
        "{counts:?}"
    );
}

#[test]
fn weighted_takes_any_where_all_weigh_zero() {
    fastrand::seed(6);
    let counts = counts(&Weighted, &weighing(&[0, 0, 0]), 3_000);
    assert!(
        counts.iter().all(|count| (800..=1_200).contains(count)),
        "{counts:?}"
    );
}

#[test]
fn the_greatest_weights_do_not_overflow() {
    let nodes = weighing(&[u32::MAX, u32::MAX, 0]);
    assert_eq!(
        nodes.cumulative_weights().unwrap().last(),
        Some(&(2 * u64::from(u32::MAX)))
    );
    assert!(
        Weighted
            .pick(&nodes, &Turn::default())
            .is_some_and(|place| place < 2)
    );
}

proptest! {
    #[test]
    fn round_robin_shared_is_never_more_than_one_ahead(count in 1..9_usize, calls in 1..99_usize) {
        let (list, strategy) = (nodes(count), Arc::new(RoundRobinShared::new()));
        let mut seen = vec![0; count];
        for _ in 0..calls {
            let picker = Picker::one_of(list.clone(), strategy.clone(), false);
            seen[place(&list, &picker.next().unwrap())] += 1;
        }
        prop_assert!(seen.iter().max().unwrap() - seen.iter().min().unwrap() <= 1, "{:?}", seen);
    }

    #[test]
    fn p2c_looks_at_two_different_nodes(count in 2..9_usize, busy in 0..9_usize) {
        let list = nodes(count);
        let busy = busy % count;
        let _attempt = list[busy].begin();
        let place = P2c.pick(&Candidates::new(list), &Turn::default());
        prop_assert!(place.is_some_and(|place| place < count && place != busy));
    }

    #[test]
    fn weighted_takes_only_nodes_with_weight(weights in proptest::collection::vec(0..4_u32, 1..9)) {
        let place = Weighted.pick(&weighing(&weights), &Turn::default()).unwrap();
        prop_assert!(weights[place] > 0 || weights.iter().all(|&weight| weight == 0));
    }
}
