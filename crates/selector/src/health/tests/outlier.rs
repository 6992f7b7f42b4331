use std::thread;

use super::*;

fn outlier() -> Outlier {
    Outlier::default()
}

#[test]
fn five_failures_in_a_row_make_an_outlier_and_four_do_not() {
    let world = World::of(3, outlier());
    world.fails("0", 4);
    assert!(world.is_used("0"));
    world.does_well("0");
    world.fails("0", 4);
    assert!(world.is_used("0"), "they were not in a row");
    world.fails("0", 1);
    assert!(!world.is_used("0"));
    assert!(world.node("0").is_out());
    let until = format!("{:?}", world.node("0").out_until());
    assert!(format!("{:?}", world.node("0")).contains(&until));
}

#[test]
fn a_node_that_fails_now_and_then_is_an_outlier_if_it_fails_too_often() {
    let world = World::of(3, outlier());
    let failing = |id: &str, of_five: usize, rounds: usize| {
        for _ in 0..rounds {
            world.fails(id, of_five);
            (of_five..5).for_each(|_| world.does_well(id));
        }
    };
    failing("0", 1, 40);
    assert!(!world.node("0").is_out(), "four of five is enough");
    failing("1", 3, 3);
    assert!(!world.node("1").is_out(), "too few to tell");
    failing("1", 3, 2);
    assert!(world.node("1").is_out());
}

#[test]
fn a_success_rate_of_more_attempts_than_are_counted_holds_all_the_same() {
    let often = outlier()
        .consecutive_failures(0)
        .success_rate(0.5, 1_000_000);
    let world = World::of(3, often);
    world.fails("0", 100_000);
    assert!(world.node("0").is_out());
}

#[test]
fn what_lies_before_the_window_does_not_count() {
    let world = World::of(3, outlier());
    for _ in 0..30 {
        world.fails("0", 3);
        (0..2).for_each(|_| world.does_well("0"));
        world.pass(seconds(11));
    }
    assert!(!world.node("0").is_out());
}

#[test]
fn only_what_is_the_nodes_fault_counts() {
    let world = World::of(2, outlier());
    let node = world.node("0");
    let nothing = [
        Mark::Cancelled,
        Mark::TimedOut(Fault::Unknown),
        Mark::Failure(&ERROR, Fault::Unknown),
    ];
    for mark in nothing.iter().cycle().take(20) {
        world.mark(&node, *mark);
    }
    assert!(!node.is_out());
    world.fails("0", 4);
    nothing.iter().for_each(|mark| world.mark(&node, *mark));
    world.mark(&node, Mark::TimedOut(Fault::Node));
    assert!(node.is_out(), "what says nothing does not end a row");
    world.fails("1", 4);
    world.mark(&world.node("1"), Mark::Failure(&ERROR, Fault::Elsewhere));
    world.fails("1", 1);
    assert!(!world.node("1").is_out(), "an answer does");
}

#[test]
fn one_attempt_brings_a_node_back_or_keeps_it_out_for_longer() {
    let world = World::of(2, outlier());
    world.fails("0", 5);
    for out in [1, 2, 4, 8, 10, 10] {
        world.pass(seconds(out) - Duration::from_millis(1));
        assert!(!world.is_used("0"), "out for {out} s");
        world.pass(Duration::from_millis(2));
        assert!(world.is_used("0"), "one is let through");
        assert!(!world.is_used("0"), "and only one");
        world.fails("0", 1);
    }
    world.pass(seconds(11));
    assert!(world.is_used("0"));
    world.does_well("0");
    assert!((0.4..0.6).contains(&world.share("0", 2_000)));
}

#[test]
fn a_node_that_does_well_for_long_is_out_for_less() {
    let world = World::of(2, outlier());
    let back = || {
        assert!(world.is_used("0"));
        world.does_well("0");
    };
    let out_for = |times: u64| {
        world.fails("0", 5);
        world.pass(seconds(times) - Duration::from_millis(1));
        assert!(!world.is_used("0"), "{times}");
        world.pass(Duration::from_millis(2));
        back();
    };
    out_for(1);
    out_for(2);
    out_for(4);
    world.pass(seconds(20));
    out_for(2);
    world.pass(seconds(1_000));
    out_for(1);
}

#[test]
fn attempts_that_were_under_way_neither_help_nor_harm() {
    let world = World::of(2, outlier());
    world.fails("0", 5);
    world.does_well("0");
    assert!(!world.is_used("0"));
    world.fails("0", 50);
    world.pass(seconds(1));
    assert!(world.is_used("0"), "it is not out for longer");
}

#[test]
fn an_attempt_that_comes_to_nothing_makes_place_for_another() {
    let world = World::of(2, outlier());
    world.fails("0", 5);
    world.pass(seconds(1));
    assert!(world.is_used("0"));
    assert!(!world.is_used("0"));
    world.mark(&world.node("0"), Mark::Cancelled);
    assert!(world.is_used("0"));
    // This one is never heard of.
    world.pass(seconds(9));
    assert!(!world.is_used("0"));
    world.pass(seconds(2));
    assert!(world.is_used("0"));
}

#[test]
fn a_stream_that_goes_on_or_is_let_go_of_brings_its_node_back() {
    let begun = || {
        let world = World::of(2, outlier());
        world.fails("0", 5);
        world.pass(seconds(1));
        assert!(world.is_used("0"));
        world
    };
    let share = |world: &World| (0.4..0.6).contains(&world.share("0", 2_000));

    let world = begun();
    world.node("0").answers();
    world.pass(seconds(9));
    assert!(!world.is_used("0"), "it may fail yet");
    world.pass(seconds(2));
    assert!(share(&world), "it goes on");

    let world = begun();
    world.node("0").answers();
    world.mark(&world.node("0"), Mark::Cancelled);
    assert!(share(&world), "it was let go of");

    let world = begun();
    world.node("0").answers();
    world.fails("0", 1);
    world.pass(seconds(2));
    assert!(world.is_used("0"));
    world.mark(&world.node("0"), Mark::Cancelled);
    assert!(!share(&world), "another one has not answered");
}

#[test]
fn never_more_than_half_and_never_the_last() {
    for (nodes, most) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (9, 4)] {
        let world = World::of(nodes, outlier());
        for id in 0..nodes {
            world.fails(&id.to_string(), 20);
        }
        let all = world.selector.candidates(&greeter());
        let out = all.iter().filter(|node| node.is_out()).count();
        assert_eq!(out, most, "of {nodes}");
        assert!(!world.pick().is_out());
    }
    let world = World::of(3, outlier().max_ejected(1.0));
    (0..3).for_each(|id| world.fails(&id.to_string(), 20));
    assert!(!world.is_used("0") && !world.is_used("1") && world.is_used("2"));
}

#[test]
fn when_good_nodes_go_those_that_were_out_longest_come_back() {
    let world = World::of(4, outlier());
    world.fails("0", 5);
    world.fails("1", 5);
    assert!(!world.is_used("0") && !world.is_used("1"));
    world.remove("3");
    assert!(world.is_used("0") && !world.is_used("1"));
    world.remove("2");
    assert!(world.is_used("0") && !world.is_used("1"));
    world.remove("0");
    assert!(world.is_used("1"), "it is the last one");
}

#[test]
fn a_node_that_goes_makes_room_for_another_to_be_out() {
    let world = World::of(3, outlier());
    world.fails("0", 5);
    world.remove("0");
    world.add("4");
    world.fails("1", 5);
    assert!(!world.is_used("1"));
}

#[test]
fn a_node_that_fails_after_it_went_takes_no_place_among_those_that_are_out() {
    let world = World::of(3, outlier());
    let gone = world.node("0");
    world.remove("0");
    (0..5).for_each(|_| world.mark(&gone, Mark::Failure(&ERROR, Fault::Node)));
    world.fails("1", 5);
    assert!(!world.is_used("1"));
}

#[test]
fn what_was_learned_survives_a_new_announcement() {
    let world = World::of(3, outlier());
    let one = |node: Node| Change::Put(Service::new("greeter", "1").with_node(node));
    world.fails("0", 5);
    let known = Node::new("0", "10.0.0.0:1");
    world.hear(one(known.clone().with_metadata("load", "2")));
    assert!(!world.is_used("0"));
    world.hear(one(known.with_metadata("load", "3")));
    world.pass(seconds(1));
    assert!(world.is_used("0"));
    world.does_well("0");
    assert!(
        world.is_used("0"),
        "and whoever stands for it can bring it back"
    );
    world.fails("0", 5);
    world.hear(one(Node::new("0", "10.0.0.9:1")));
    assert!(world.is_used("0"), "another address is another node");
    assert!(world.is_used("1") && world.is_used("2"));
}

#[test]
fn a_strategy_that_insists_is_asked_over_the_rest() {
    #[derive(Debug)]
    struct First;
    impl Strategy for First {
        fn pick(&self, nodes: &crate::Candidates, _: &crate::Turn) -> Option<usize> {
            (!nodes.is_empty()).then_some(0)
        }
        fn name(&self) -> &'static str {
            "first"
        }
    }
    let world = World::by(Arc::new(First), 3, outlier().into(), Duration::ZERO);
    assert_eq!(world.pick().id, "0");
    world.fails("0", 5);
    assert_eq!(world.pick().id, "1");
    let last = SelectOptions {
        filters: vec![crate::Filter::custom("0 alone", |_, node| node.id == "0")],
        ..SelectOptions::default()
    };
    let node = world.select(&last).unwrap().next().unwrap();
    assert_eq!(node.id, "0", "better than nobody");
}

#[test]
fn every_strategy_leaves_out_who_is_out() {
    let strategies: [Arc<dyn Strategy>; 6] = [
        Arc::new(P2c),
        Arc::new(crate::PeakEwma),
        Arc::new(crate::Random),
        Arc::new(crate::RoundRobin),
        Arc::new(crate::RoundRobinShared::new()),
        Arc::new(crate::Weighted),
    ];
    for strategy in strategies {
        let name = strategy.name();
        let world = World::by(strategy, 4, outlier().into(), Duration::ZERO);
        world.fails("1", 5);
        world.fails("2", 5);
        assert!(!world.is_used("1") && !world.is_used("2"), "{name}");
        assert!(world.is_used("0") && world.is_used("3"), "{name}");
    }
}

#[test]
fn a_node_whose_time_is_over_is_asked_though_its_failures_took_long() {
    let world = World::by(
        Arc::new(crate::PeakEwma),
        2,
        outlier().into(),
        Duration::ZERO,
    );
    let answers = |id| {
        let now = world.now();
        world.node(id).answered(now, now + Duration::from_millis(1));
    };
    ["0", "1"].into_iter().for_each(answers);
    for _ in 0..5 {
        world.node("0").fault(world.now(), world.now() + seconds(5));
        world.fails("0", 1);
    }
    assert!(!world.is_used("0"));
    world.pass(seconds(2));
    answers("1");
    assert!(world.is_used("0"));
}

#[test]
fn a_retry_goes_to_a_node_that_is_in_use_while_one_is_left() {
    let world = World::of(4, outlier());
    world.fails("0", 5);
    let options = SelectOptions {
        avoid_tried: true,
        ..SelectOptions::default()
    };
    for _ in 0..50 {
        let picker = world.select(&options).unwrap();
        let mut tried: Vec<_> = (0..3)
            .map(|_| (picker.has_untried(), picker.next().unwrap().id.clone()))
            .collect();
        assert!(!picker.has_untried());
        assert_ne!(
            picker.next().unwrap().id,
            "0",
            "one that was tried is better"
        );
        tried.sort();
        let expected = ["1", "2", "3"].map(|id| (true, id.to_owned()));
        assert_eq!(tried, expected);
    }
}

#[test]
fn a_retry_leaves_the_one_attempt_at_a_node_that_it_tried_to_another_call() {
    for _ in 0..50 {
        let world = World::of(3, outlier());
        let options = SelectOptions {
            avoid_tried: true,
            ..SelectOptions::default()
        };
        let picker = world.select(&options).unwrap();
        let tried = picker.next().unwrap().id.clone();
        world.fails(&tried, 5);
        world.pass(seconds(2));
        assert_ne!(picker.next().unwrap().id, tried);
        assert!(world.is_used(&tried));
    }
}

#[test]
fn a_retry_to_whom_everybody_is_out_leaves_an_attempt_that_is_under_way_alone() {
    let options = SelectOptions {
        avoid_tried: true,
        filters: vec![crate::Filter::custom("0 and 1", |_, node| {
            node.id == "0" || node.id == "1"
        })],
        ..SelectOptions::default()
    };
    for _ in 0..50 {
        let world = World::of(4, outlier());
        world.fails("0", 5);
        world.pass(seconds(1));
        world.fails("1", 5);
        let picker = world.select(&options).unwrap();
        assert_eq!(picker.next().unwrap().id, "0", "its time is over");
        assert_eq!(picker.next().unwrap().id, "1", "it was not tried");
        assert!(!world.is_used("0"), "its one attempt is under way");
    }
}

#[test]
fn a_node_that_is_chosen_from_many_threads_is_let_through_once() {
    let world = World::of(2, outlier());
    world.fails("0", 5);
    for round in 0..20 {
        world.pass(seconds(10));
        let chosen: usize = thread::scope(|scope| {
            let choose = || (0..200).filter(|_| world.pick().id == "0").count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(choose)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(chosen, 1, "round {round}");
        world.fails("0", 1);
    }
}

#[test]
fn marks_from_many_threads_leave_the_bound_in_place() {
    let world = World::of(5, outlier());
    thread::scope(|scope| {
        for thread in 0..4_usize {
            let world = &world;
            scope.spawn(move || {
                for turn in 0..2_000_usize {
                    let id = (turn * 7 + thread) % 5;
                    if turn % 11 < 8 {
                        world.fails(&id.to_string(), 3);
                    } else {
                        world.does_well(&id.to_string());
                    }
                    world.pass(Duration::from_millis(3));
                    let out = world.selector.candidates(&greeter());
                    let out = out.iter().filter(|node| node.record().out() != 0).count();
                    assert!(out <= 2, "{out}");
                    drop(world.pick().begin());
                }
            });
        }
    });
    world.pass(seconds(100));
    for id in ["0", "1", "2", "3", "4"] {
        while !world.is_used(id) {
            // Its one attempt went to somebody who asked for another node.
            world.pass(seconds(10));
        }
        world.does_well(id);
        assert!(world.is_used(id), "{id}");
        assert_eq!(world.node(id).in_flight(), 0);
    }
}

#[test]
fn who_comes_too_late_for_the_one_attempt_goes_to_a_node_that_is_not_out() {
    /// Insists on node 2, and then on the first of those that are left, whose one attempt it gives to somebody else meanwhile.
    #[derive(Debug)]
    struct Rival;
    impl Strategy for Rival {
        fn pick(&self, nodes: &crate::Candidates, _: &crate::Turn) -> Option<usize> {
            if nodes.len() == 4 {
                return Some(2);
            }
            if nodes[0].record().out() != 0 {
                let admission = nodes[0].admission().unwrap();
                assert_eq!(admission.admits(&nodes[0], 0.0), Admitted::Yes);
            }
            Some(0)
        }

        fn name(&self) -> &'static str {
            "rival"
        }
    }
    let world = World::by(Arc::new(Rival), 4, outlier().into(), Duration::ZERO);
    world.fails("0", 5);
    world.pass(seconds(1));
    world.fails("2", 5);
    assert!(!world.node("0").is_out() && world.node("2").is_out());
    assert_eq!(world.pick().id, "1");
}
