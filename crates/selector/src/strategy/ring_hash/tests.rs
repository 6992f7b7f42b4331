use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::{Just, prop_assert, prop_assert_eq, prop_assume, prop_oneof, proptest};
use tower_micro_registry::Node;

use super::*;
use crate::candidate::WEIGHT;
use crate::{Candidate, Picker, SelectOptions};

fn address(number: usize) -> String {
    format!("10.0.{}.{}:8080", number / 256, number % 256)
}

fn nodes(numbers: impl IntoIterator<Item = usize>) -> Candidates {
    let node = |number| Candidate::at(&address(number));
    Candidates::new(numbers.into_iter().map(node).collect())
}

fn weighing(weights: &[u32]) -> Candidates {
    let node = |(number, weight): (usize, &u32)| {
        let node = Node::new("", address(number));
        Candidate::new(node.with_metadata(WEIGHT, weight.to_string()))
    };
    Candidates::new(weights.iter().enumerate().map(node).collect())
}

fn prepared(nodes: Candidates) -> Candidates {
    RingHash.prepare(&nodes);
    assert!(nodes.ring().is_some());
    nodes
}

fn pick(nodes: &Candidates, key: u64, number: u32) -> Option<usize> {
    let turn = Turn {
        number,
        start: 0,
        hash_key: Some(key),
    };
    RingHash.pick(nodes, &turn)
}

/// The address that each of many keys goes to.
fn places(nodes: &Candidates, keys: u64) -> Vec<String> {
    (0..keys)
        .map(|key| nodes[pick(nodes, key, 0).unwrap()].address.clone())
        .collect()
}

fn shares(nodes: &Candidates, keys: u64) -> HashMap<String, f64> {
    let mut shares = HashMap::new();
    for address in places(nodes, keys) {
        *shares.entry(address).or_default() += 1.0 / keys as f64;
    }
    shares
}

#[test]
fn the_places_of_a_key_are_those_of_every_version_of_this_crate() {
    let nodes = prepared(nodes(0..5));
    let keys = ["alice", "bob", "carol", "dave"].map(|name| HashKey::from(name).into());
    assert_eq!(keys[0], 0x508b_2abb_65a0_3907, "FNV-1a");
    assert_eq!(keys.map(|key| pick(&nodes, key, 0).unwrap()), [1, 3, 0, 1]);
}

#[test]
fn clients_that_know_the_nodes_in_another_order_agree() {
    let (one, other) = (prepared(nodes(0..20)), prepared(nodes((0..20).rev())));
    assert_eq!(places(&one, 2_000), places(&other, 2_000));
}

#[test]
fn keys_move_from_a_node_that_goes_and_no_others_do() {
    let before = places(&prepared(nodes(0..10)), 10_000);
    let after = places(
        &prepared(nodes((0..10).filter(|&number| number != 3))),
        10_000,
    );
    let gone = address(3);
    assert!(before.contains(&gone));
    for (before, after) in before.iter().zip(&after) {
        assert!(before == after || *before == gone, "{before} {after}");
    }
}

/// How many of the keys go elsewhere than they did, and to another node than `new` or one that is there no more.
fn moved(before: &Candidates, after: &Candidates, new: &str, keys: u64) -> usize {
    let is_there = |address: &str| after.iter().any(|node| node.address == address);
    let (before, after) = (places(before, keys), places(after, keys));
    let pairs = before.iter().zip(&after);
    pairs
        .filter(|(before, after)| before != after && *after != new && is_there(before))
        .count()
}

#[test]
fn a_light_node_that_comes_takes_keys_and_moves_none_between_the_others() {
    let before = prepared(weighing(&[100, 100]));
    let after = prepared(weighing(&[100, 100, 1]));
    assert_eq!(moved(&before, &after, &address(2), 100_000), 0);
    let share = shares(&after, 100_000)[&address(2)];
    assert!((0.003..0.008).contains(&share), "{share}");
}

#[test]
fn a_node_whose_weight_changes_moves_none_between_the_others() {
    let weights = [[3, 5, 8], [3, 5, 1], [3, 5, 20]].map(|weights| prepared(weighing(&weights)));
    for pair in weights.windows(2) {
        let changed = address(2);
        let (before, after) = (places(&pair[0], 20_000), places(&pair[1], 20_000));
        for (before, after) in before.iter().zip(&after) {
            assert!(before == after || [before, after].contains(&&changed));
        }
    }
}

#[test]
fn one_of_many_that_comes_moves_about_as_many_between_the_others_as_it_takes() {
    const KEYS: usize = 200_000;
    for count in [2, 256, 257, 300, 513, 10_922, 13_107] {
        let (before, after) = (prepared(nodes(0..count)), prepared(nodes(0..=count)));
        let moved = moved(&before, &after, &address(count), KEYS as u64);
        let due = if count < 256 { 0 } else { KEYS / count };
        assert!(moved <= 2 * due + 20, "{moved} of {count}, {due} are due");
    }
    let weights = [vec![100; 3], vec![100; 11], vec![5_000; 41]];
    for weights in weights {
        let (before, after) = (&weights[1..], &weights);
        let last = address(before.len());
        let moved = moved(
            &prepared(weighing(before)),
            &prepared(weighing(after)),
            &last,
            KEYS as u64,
        );
        let due = KEYS / after.len();
        assert!(
            moved <= due + due / 4,
            "{moved} of {}, {due} are due",
            after.len()
        );
    }
}

#[test]
fn weights_count_as_they_are_written_whether_they_differ_or_not() {
    let places = |nodes: &Candidates| Shares::of(nodes).places(&nodes[0]).count();
    let [equal, other] = [[2, 2], [2, 1]].map(|weights| places(&weighing(&weights)));
    assert_eq!((equal, other), (256, 256));
    assert_eq!(places(&weighing(&[0, 0])), places(&weighing(&[1, 1])));
}

#[test]
fn nodes_get_about_the_same_share() {
    for count in [2, 3, 10, 100] {
        let shares = shares(&prepared(nodes(0..count)), 100_000);
        assert_eq!(shares.len(), count);
        let fair = 1.0 / count as f64;
        for (address, share) in shares {
            let off = (share / fair - 1.0).abs();
            assert!(off < 0.35, "{address} of {count}: {share}");
        }
    }
}

#[test]
fn a_weight_is_a_share_and_none_is_none() {
    let shares = shares(&prepared(weighing(&[1, 3, 0, 4])), 100_000);
    let share = |number| shares.get(&address(number)).copied().unwrap_or_default();
    assert!((0.08..0.17).contains(&share(0)), "{shares:?}");
    assert!((0.30..0.45).contains(&share(1)), "{shares:?}");
    assert_eq!(share(2), 0.0);
    assert!((0.42..0.58).contains(&share(3)), "{shares:?}");
}

#[test]
fn nodes_that_all_weigh_nothing_are_chosen_as_if_they_weighed_the_same() {
    assert_eq!(shares(&prepared(weighing(&[0, 0, 0])), 1_000).len(), 3);
}

#[test]
fn extreme_weights_keep_the_ring_small() {
    let mut weights = vec![1; 999];
    weights.push(u32::MAX);
    let nodes = prepared(weighing(&weights));
    assert!(shares(&nodes, 1_000)[&address(999)] > 0.9);
    for weights in [weights, vec![u32::MAX; 5_000], vec![0; 40_000]] {
        let nodes = weighing(&weights);
        let shares = Shares::of(&nodes);
        let places: usize = nodes.iter().map(|node| shares.places(node).count()).sum();
        assert!(places <= 32_768 + nodes.len(), "{places}");
    }
}

#[test]
fn without_a_key_a_call_goes_anywhere() {
    let nodes = prepared(nodes(0..3));
    let picks = (0..100).map(|start| {
        let turn = Turn {
            start,
            ..Turn::default()
        };
        RingHash.pick(&nodes, &turn).unwrap()
    });
    assert_eq!(picks.collect::<std::collections::HashSet<_>>().len(), 3);
}

#[test]
fn the_attempts_of_a_call_go_clockwise_and_begin_again() {
    let nodes = prepared(nodes(0..3));
    for key in 0..100 {
        let picks: Vec<_> = (0..6)
            .map(|number| pick(&nodes, key, number).unwrap())
            .collect();
        let mut round = picks[..3].to_vec();
        assert_eq!(round, picks[3..]);
        round.sort_unstable();
        assert_eq!(round, [0, 1, 2]);
    }
}

#[test]
fn a_picker_that_avoids_what_it_tried_goes_clockwise_too() {
    let nodes = prepared(nodes(0..4));
    let options = SelectOptions {
        avoid_tried: true,
        hash_key: Some(7),
        ..SelectOptions::default()
    };
    let picker = Picker::among(nodes.clone(), Arc::new(RingHash), &options);
    let picked: Vec<_> = (0..4)
        .map(|_| picker.next().unwrap().address.clone())
        .collect();
    let expected = (0..4).map(|number| nodes[pick(&nodes, 7, number).unwrap()].address.clone());
    assert_eq!(picked, expected.collect::<Vec<_>>());
}

proptest! {
    /// A list that is looked through is chosen from as one whose places are sorted.
    #[test]
    fn a_ring_is_only_faster(
        weights in proptest::collection::vec(prop_oneof![Just(0), Just(1), 0..50u32], 2..40),
        key: u64,
        number in 0..6u32,
    ) {
        let nodes = weighing(&weights);
        let looked_through = pick(&nodes, key, number);
        prop_assert!(nodes.ring().is_none());
        prop_assert_eq!(looked_through, pick(&prepared(nodes), key, number));
    }

    /// As long as all weigh no more than 256 together.
    #[test]
    fn a_node_that_goes_moves_only_its_own_keys(
        weights in proptest::collection::vec(prop_oneof![0..5u32, 0..60u32], 2..40),
    ) {
        prop_assume!(weights.iter().sum::<u32>() <= 256);
        let (with, without) = (weighing(&weights), weighing(&weights[..weights.len() - 1]));
        let gone = &with[without.len()].address;
        prop_assert_eq!(moved(&prepared(without), &prepared(with.clone()), gone, 500), 0);
    }

    #[test]
    fn the_first_point_is_the_one_a_search_finds(count in 2..300usize, key: u64) {
        let nodes = prepared(nodes(0..count));
        let place = Place::of_key(key);
        let shares = Shares::of(&nodes);
        let distance = |&index: &usize| shares.distance(&nodes[index], place).unwrap();
        let nearest = (0..count).min_by_key(distance);
        prop_assert_eq!(pick(&nodes, key, 0), nearest);
    }
}
