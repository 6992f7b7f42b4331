use std::sync::Barrier;
use std::thread;

use proptest::collection::vec;
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use tower_micro_registry::Node;

use super::*;
use crate::candidate::WEIGHT;
use crate::{P2c, Random, RoundRobin, RoundRobinShared, Turn, Weighted};

fn nodes(count: usize) -> Vec<Arc<Candidate>> {
    (0..count)
        .map(|number| Candidate::at(&format!("10.0.0.1:{number}")))
        .collect()
}

/// Says at turn `n` what stands at place `n`; then nothing.
#[derive(Clone, Debug)]
struct Script(Vec<Option<usize>>);

impl Strategy for Script {
    fn pick(&self, _nodes: &Candidates, turn: &Turn) -> Option<usize> {
        self.0.get(turn.number as usize).copied().flatten()
    }

    fn name(&self) -> &'static str {
        "script"
    }
}

#[test]
fn a_fixed_picker_names_the_same_node_again_and_again() {
    let node = Candidate::at("10.0.0.1:1");
    let picker = Picker::fixed(Arc::clone(&node));
    assert!((0..3).all(|_| Arc::ptr_eq(&picker.next().unwrap(), &node)));
}

#[test]
fn a_closure_is_a_picker() {
    let picker = Picker::new(|| Err(SelectError::other("not today")));
    assert_eq!(picker.next().unwrap_err().to_string(), "not today");
}

#[test]
fn a_picker_over_a_list_knows_whether_there_is_anybody() {
    assert!(Picker::one_of(Vec::new(), Arc::new(Random), true).is_empty());
    assert!(!Picker::one_of(nodes(1), Arc::new(Random), true).is_empty());
    assert!(!Picker::new(|| Err(SelectError::NoneAvailable)).is_empty());
}

#[test]
fn clones_share_what_was_tried() {
    let picker = Picker::one_of(nodes(2), Arc::new(Random), true);
    let (one, another) = (picker.clone().next().unwrap(), picker.next().unwrap());
    assert!(!Arc::ptr_eq(&one, &another));
}

#[test]
fn a_clone_of_a_picker_that_chose_knows_whom() {
    let picker = Picker::one_of(nodes(2), Arc::new(Random), true);
    let first = picker.choose().unwrap();
    let clone = picker.clone();
    let (first, second) = (first.node(Some(&clone)), clone.next().unwrap());
    assert!(!Arc::ptr_eq(first.unwrap(), &second));
    assert!(!picker.has_untried());
}

#[test]
fn whether_a_node_is_left_is_known_where_tried_ones_are_avoided() {
    let picker = Picker::one_of(nodes(2), Arc::new(P2c), true);
    let left: Vec<_> = (0..3)
        .map(|_| (picker.has_untried(), picker.next().unwrap()).0)
        .collect();
    assert_eq!(left, [true, true, false]);
    assert!(!Picker::one_of(nodes(2), Arc::new(P2c), false).has_untried());
    assert!(!Picker::fixed(Candidate::at("10.0.0.1:1")).has_untried());
}

#[test]
fn two_attempts_that_ask_at_once_get_different_nodes() {
    for _ in 0..200 {
        let picker = Picker::one_of(nodes(2), Arc::new(Script(vec![Some(0); 2])), true);
        let start = Barrier::new(2);
        let ask = || {
            start.wait();
            picker.next().unwrap()
        };
        let (one, another) = thread::scope(|scope| {
            let other = scope.spawn(ask);
            (ask(), other.join().unwrap())
        });
        assert!(!Arc::ptr_eq(&one, &another));
    }
}

#[test]
fn a_node_that_stands_in_the_list_twice_is_tried_at_once() {
    let [one, another] = [Candidate::at("10.0.0.1:1"), Candidate::at("10.0.0.1:2")];
    let list = vec![one.clone(), one.clone(), another.clone()];
    let picker = Picker::one_of(list, Arc::new(Script(vec![Some(0), Some(1)])), true);
    assert!(Arc::ptr_eq(&picker.next().unwrap(), &one));
    // Turn 1 names the same node; of the one that is left there is no place 1, so it gets the same
    // after all.
    assert!(Arc::ptr_eq(&picker.next().unwrap(), &one));
}

#[test]
fn a_retry_does_not_wake_a_node_of_weight_zero() {
    let weighing = |weight: &str| Node::new("n", "10.0.0.1:1").with_metadata(WEIGHT, weight);
    let list = vec![Candidate::new(weighing("5")), Candidate::new(weighing("0"))];
    let picker = Picker::one_of(list.clone(), Arc::new(Weighted), true);
    assert!((0..3).all(|_| Arc::ptr_eq(&picker.next().unwrap(), &list[0])));
}

#[test]
fn round_robin_keeps_its_order_when_it_avoids_what_was_tried() {
    let list = nodes(4);
    let picker = Picker::one_of(list.clone(), Arc::new(RoundRobin), true);
    let place = |node: &_| {
        list.iter()
            .position(|other| Arc::ptr_eq(node, other))
            .unwrap()
    };
    let places: Vec<_> = (0..8).map(|_| place(&picker.next().unwrap())).collect();
    assert!(
        places.windows(2).all(|pair| pair[1] == (pair[0] + 1) % 4),
        "{places:?}"
    );
}

#[test]
fn the_strategy_hears_the_key_and_one_start_a_call() {
    #[derive(Debug)]
    struct Listening(std::sync::Mutex<Vec<Turn>>);
    impl Strategy for Listening {
        fn pick(&self, _nodes: &Candidates, turn: &Turn) -> Option<usize> {
            self.0.lock().unwrap().push(*turn);
            Some(0)
        }
        fn name(&self) -> &'static str {
            "listening"
        }
    }
    let heard = Arc::new(Listening(std::sync::Mutex::default()));
    let options = SelectOptions {
        hash_key: Some(7),
        ..SelectOptions::default()
    };
    let picker = Picker::among(Candidates::new(nodes(1)), heard.clone(), &options);
    assert!(picker.next().is_ok() && picker.next().is_ok());
    let turns = heard.0.lock().unwrap();
    let expected = |number| Turn {
        number,
        start: turns[0].start,
        hash_key: Some(7),
    };
    assert_eq!(*turns, [expected(0), expected(1)]);
}

/// What a picker over `count` nodes answers to `calls` calls, as plainly as can be.
fn naive(script: &[Option<usize>], count: usize, avoid_tried: bool) -> Vec<Option<usize>> {
    let mut tried = Vec::new();
    let answer = |(turn, _): (usize, &Option<usize>)| {
        let says = |count: usize| script[turn].filter(|&place| place < count);
        // While nothing was handed out, the first turn goes on.
        let all = says(count)?;
        let rest: Vec<_> = (0..count).filter(|place| !tried.contains(place)).collect();
        let place = match avoid_tried && tried.contains(&all) {
            true => says(rest.len()).map_or(all, |place| rest[place]),
            false => all,
        };
        tried.push(place);
        Some(place)
    };
    script.iter().enumerate().map(answer).collect()
}

proptest! {
    #[test]
    fn a_picker_agrees_with_the_naive_one(
        count in 1..6_usize,
        first in 0..9_usize,
        then in vec(proptest::option::of(0..9_usize), 0..12),
        avoid_tried: bool,
    ) {
        let script: Vec<_> = [Some(first % count)].into_iter().chain(then).collect();
        let list = nodes(count);
        let picker = Picker::one_of(list.clone(), Arc::new(Script(script.clone())), avoid_tried);
        let place = |node: Arc<Candidate>| list.iter().position(|other| Arc::ptr_eq(&node, other));
        let answers: Vec<_> = script.iter().map(|_| picker.next().ok().and_then(place)).collect();
        prop_assert_eq!(answers, naive(&script, count, avoid_tried));
    }

    #[test]
    fn no_node_is_tried_twice_before_all_were_tried(count in 1..9_usize, which in 0..5_usize) {
        let strategies: [Arc<dyn Strategy>; 5] = [
            Arc::new(Random),
            Arc::new(RoundRobin),
            Arc::new(RoundRobinShared::new()),
            Arc::new(P2c),
            Arc::new(Weighted),
        ];
        let picker = Picker::one_of(nodes(count), Arc::clone(&strategies[which]), true);
        let tried: Vec<_> = (0..count).map(|_| picker.next().unwrap().address.clone()).collect();
        prop_assert_eq!(tried.iter().collect::<std::collections::HashSet<_>>().len(), count);
        prop_assert!(picker.next().is_ok(), "then any will do");
    }
}
