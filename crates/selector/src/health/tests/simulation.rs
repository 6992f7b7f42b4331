//! Whole calls, with retries and a budget, against nodes that fail.

use super::*;
use crate::{PeakEwma, Turn};

/// A fifth of what succeeded, and ten a second, over ten seconds: what `Preset::Standard` pays retries with.
struct Budget {
    tokens: f64,
}

impl Budget {
    fn pass(&mut self, time: Duration) {
        self.tokens = (self.tokens + 10.0 * time.as_secs_f64()).min(200.0);
    }

    fn withdraw(&mut self) -> bool {
        let pays = self.tokens >= 1.0;
        self.tokens -= f64::from(pays);
        pays
    }
}

/// What share of `calls` succeeds, of which so many are under way at a time. `fails` says whether an attempt at a
/// node fails, at once; one that does well takes as long as all the others that are under way.
fn succeeding(world: &World, calls: usize, at_a_time: usize, fails: impl Fn(&str) -> bool) -> f64 {
    let mut budget = Budget { tokens: 100.0 };
    let mut under_way = std::collections::VecDeque::new();
    let mut well = 0;
    for _ in 0..calls {
        world.pass(Duration::from_millis(2));
        budget.pass(Duration::from_millis(2));
        if under_way.len() == at_a_time {
            let (attempt, node): (crate::InFlight, Arc<Candidate>) = under_way.pop_front().unwrap();
            drop(attempt);
            world.mark(&node, Mark::Success);
        }
        let options = SelectOptions {
            avoid_tried: true,
            ..SelectOptions::default()
        };
        let picker = world.select(&options).unwrap();
        for attempt in 0..3 {
            if attempt > 0 && !budget.withdraw() {
                break;
            }
            let node = picker.next().unwrap();
            let guard = node.begin();
            if !fails(&node.id) {
                under_way.push_back((guard, node));
                budget.tokens += 0.2;
                well += 1;
                break;
            }
            drop(guard);
            world.mark(&node, Mark::Failure(&ERROR, Fault::Node));
        }
    }
    well as f64 / calls as f64
}

#[test]
fn every_call_succeeds_though_one_of_three_nodes_always_fails_at_once() {
    for at_a_time in [1, 8, 64] {
        fastrand::seed(7);
        let world = World::of(3, Outlier::default());
        let share = succeeding(&world, 20_000, at_a_time, |id| id == "0");
        assert_eq!(share, 1.0, "{at_a_time} at a time");
    }
}

/// What the rule is for: least in flight likes the node that fails fastest, and the budget cannot pay for it.
#[test]
fn without_health_the_budget_runs_out() {
    fastrand::seed(7);
    let world = World::of(3, Health::None);
    let share = succeeding(&world, 20_000, 8, |id| id == "0");
    assert!(share < 0.9, "{share}");
}

#[test]
fn every_call_succeeds_though_one_of_three_nodes_fails_every_other_time() {
    for at_a_time in [1, 8, 64] {
        fastrand::seed(8);
        let world = World::of(3, Outlier::default());
        let share = succeeding(&world, 20_000, at_a_time, |id| {
            id == "0" && fastrand::bool()
        });
        assert_eq!(share, 1.0, "{at_a_time} at a time");
    }
}

#[test]
fn a_node_that_is_well_again_has_its_share_again() {
    fastrand::seed(9);
    let world = World::of(3, Outlier::default());
    succeeding(&world, 5_000, 8, |id| id == "0");
    succeeding(&world, 5_000, 8, |_| false);
    assert!((0.28..0.38).contains(&world.share("0", 3_000)));
}

/// Nodes that take so many milliseconds, so many calls at a time: how often each is chosen.
fn chosen(strategy: &dyn Strategy, takes: &[u64], at_a_time: usize) -> Vec<f64> {
    let nodes = takes.iter().map(|_| Candidate::at("10.0.0.1:1")).collect();
    let nodes = crate::Candidates::new(nodes);
    let began = Instant::now();
    let mut now = 0;
    let mut under_way: Vec<(u64, u64, usize, crate::InFlight)> = Vec::new();
    let mut counts = vec![0; takes.len()];
    for _ in 0..30_000 {
        let place = strategy.pick(&nodes, &Turn::default()).unwrap();
        counts[place] += 1;
        under_way.push((now + takes[place], now, place, nodes[place].begin()));
        while under_way.len() >= at_a_time {
            now += 1;
            under_way.retain(|&(ends, since, place, _)| {
                let at = |millis| began + Duration::from_millis(millis);
                if ends <= now {
                    nodes[place].answered(at(since), at(ends));
                }
                ends > now
            });
        }
    }
    counts
        .iter()
        .map(|&count| f64::from(count) / 30_000.0)
        .collect()
}

#[test]
fn a_node_ten_times_as_slow_is_rarely_chosen_by_its_latency() {
    for at_a_time in [1, 4, 16] {
        fastrand::seed(10);
        let shares = chosen(&PeakEwma, &[10, 10, 100], at_a_time);
        assert!(shares[2] < 0.06, "{at_a_time} at a time: {shares:?}");
        assert!(
            (shares[0] - shares[1]).abs() < 0.1,
            "{at_a_time} at a time: {shares:?}"
        );
    }
}

#[test]
fn a_node_that_fails_at_once_is_not_a_fast_one() {
    let nodes = [Candidate::at("10.0.0.1:1"), Candidate::at("10.0.0.2:1")];
    let began = Instant::now();
    let later = |millis| began + Duration::from_millis(millis);
    nodes.iter().for_each(|node| node.answered(began, later(5)));
    nodes[0].fault(later(5), later(5));
    let candidates = crate::Candidates::new(nodes.to_vec());
    let picks = (0..50).map(|_| PeakEwma.pick(&candidates, &Turn::default()));
    assert!(picks.clone().all(|place| place == Some(1)));
    assert_eq!(nodes[0].latency(), Some(Duration::from_millis(20)));
}

/// 64 callers, one of whom calls again whenever an answer comes: those under way, the oldest first.
struct Callers {
    world: World,
    under_way: std::collections::VecDeque<crate::InFlight>,
}

impl Callers {
    fn of(nodes: usize) -> Self {
        let world = World::of(nodes, Outlier::default());
        let under_way = (0..64).map(|_| world.pick().begin()).collect();
        Self { world, under_way }
    }

    /// So many answers come, of nodes other than `still`.
    fn answers(&mut self, count: usize, still: Option<&str>) {
        for _ in 0..count {
            let answers = |attempt: &crate::InFlight| Some(&*attempt.candidate().id) != still;
            self.ends(answers, Mark::Success);
        }
    }

    fn ends(&mut self, which: impl Fn(&crate::InFlight) -> bool, mark: Mark<'_>) {
        let place = self.under_way.iter().position(which).unwrap();
        let attempt = self.under_way.remove(place).unwrap();
        self.world.mark(attempt.candidate(), mark);
        drop(attempt);
        self.under_way.push_back(self.world.pick().begin());
    }

    fn at(&self, id: &str) -> u32 {
        self.world.node(id).in_flight()
    }
}

#[test]
fn one_of_three_nodes_gets_hardly_more_calls_when_it_stands_still() {
    for seed in 0..20 {
        fastrand::seed(seed);
        let mut callers = Callers::of(3);
        callers.answers(1_000, None);
        let before = callers.at("0");
        callers.answers(5_000, Some("0"));
        let after = callers.at("0");
        assert!(after <= before + 3, "{before} and {after}");
    }
}

#[test]
fn a_node_whose_attempts_time_out_is_not_taken_for_idle() {
    for seed in 0..20 {
        fastrand::seed(seed);
        let mut callers = Callers::of(3);
        callers.answers(5_000, Some("0"));
        let before = callers.at("0");
        for _ in 0..4 {
            let is_still = |attempt: &crate::InFlight| attempt.candidate().id == "0";
            callers.ends(is_still, Mark::TimedOut(Fault::Node));
            callers.answers(8, Some("0"));
        }
        let after = callers.at("0");
        assert!(after <= before - 3, "{before} and {after}");
    }
}

#[test]
fn a_node_that_failed_once_is_tried_again_though_others_are_idle() {
    let world = World::of(3, Outlier::default());
    world.fails("0", 4);
    assert!((0.25..0.42).contains(&world.share("0", 3_000)));
}

#[test]
fn one_of_three_nodes_that_fails_at_once_gets_no_more_calls_than_by_two_choices() {
    fastrand::seed(11);
    let world = World::of(3, Outlier::default());
    let _under_way: Vec<_> = ["1", "2"].map(|id| world.node(id).begin()).into();
    assert_eq!(world.share("0", 300), 1.0, "it is idle");
    world.fails("0", 1);
    assert!((0.62..0.72).contains(&world.share("0", 3_000)));
}
