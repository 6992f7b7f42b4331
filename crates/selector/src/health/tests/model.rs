//! Any sequence of additions, removals, marks and choices, against the rules as plainly as can be.

use std::collections::BTreeMap;

use proptest::prelude::{Just, Strategy as _, prop_assert, prop_oneof, proptest};
use proptest::test_runner::TestCaseResult;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Add(u8),
    Remove(u8),
    Well(u8),
    Ill(u8),
    Pick,
    Pass(u16),
}

fn step() -> impl proptest::strategy::Strategy<Value = Step> {
    prop_oneof![
        1 => (0..6_u8).prop_map(Step::Add),
        1 => (0..6_u8).prop_map(Step::Remove),
        2 => (0..6_u8).prop_map(Step::Well),
        8 => (0..6_u8).prop_map(Step::Ill),
        6 => Just(Step::Pick),
        2 => (1..3_000_u16).prop_map(Step::Pass),
    ]
}

/// Without the window, which has tests of its own.
fn in_a_row() -> Outlier {
    Outlier::default()
        .consecutive_failures(3)
        .success_rate(0.0, 1)
}

#[derive(Debug, Default)]
struct Model {
    /// Failures in a row of those that are there.
    there: BTreeMap<u8, u32>,
    /// Until when, in milliseconds, and whether their attempt is under way; in the order in which they went.
    out: Vec<(u8, u64, bool)>,
    /// How often each went in a row. No time passes for which one would be forgiven: there is always a failure.
    now: u64,
}

impl Model {
    fn most(&self) -> usize {
        (self.there.len() / 2)
            .max(1)
            .min(self.there.len().saturating_sub(1))
    }

    /// Whether its time is over at this very moment: the clock of a node is a nanosecond or two coarse, and may say either.
    fn comes_back(&self, node: u8) -> bool {
        self.out
            .iter()
            .any(|&(out, until, _)| out == node && until == self.now)
    }

    fn must_wait(&self, node: u8) -> bool {
        self.out
            .iter()
            .any(|&(out, until, _)| out == node && until > self.now)
    }
}

/// Takes the step in the world, and compares it with the model, which then learns from the world how long a
/// node stays out: that is what the examples are for.
fn take(step: Step, world: &World, model: &mut Model) -> TestCaseResult {
    match step {
        Step::Add(id) => {
            world.add(&id.to_string());
            model.there.entry(id).or_default();
        }
        // The last one stays, so that there is somebody to choose.
        Step::Remove(id) if model.there.len() > 1 && model.there.remove(&id).is_some() => {
            world.remove(&id.to_string());
            model.out.retain(|&(out, ..)| out != id);
            while model.out.len() > model.most() {
                let (back, ..) = model.out.remove(0);
                model.there.insert(back, 0);
            }
        }
        Step::Well(id) if model.there.contains_key(&id) => {
            world.does_well(&id.to_string());
            match model.out.iter().position(|&(out, ..)| out == id) {
                Some(place) if model.out[place].2 => {
                    model.out.remove(place);
                    model.there.insert(id, 0);
                }
                Some(_) => {}
                None => _ = model.there.insert(id, 0),
            }
        }
        Step::Ill(id) if model.there.contains_key(&id) => {
            world.fails(&id.to_string(), 1);
            let out = model.out.iter().position(|&(out, ..)| out == id);
            let until = || until_of(world, id, model.now);
            match out {
                Some(place) if model.out[place].2 => {
                    let until = until();
                    prop_assert!(until > model.now);
                    model.out[place] = (id, until, false);
                }
                Some(_) => {}
                None => {
                    let failures = model.there.entry(id).or_default();
                    *failures += 1;
                    if *failures >= 3 && model.out.len() < model.most() {
                        let until = until();
                        prop_assert!(until > model.now);
                        model.out.push((id, until, false));
                    }
                }
            }
        }
        Step::Pick => {
            let node = world.pick();
            let id: u8 = node.id.parse().unwrap();
            prop_assert!(model.there.contains_key(&id));
            prop_assert!(!model.must_wait(id), "{id} is out: {model:?}");
            if let Some(probed) = model.out.iter_mut().find(|(out, ..)| *out == id) {
                *probed = (id, model.now + 10_000, true);
            }
        }
        Step::Pass(time) => {
            world.pass(Duration::from_millis(time.into()));
            model.now += u64::from(time);
        }
        Step::Remove(_) | Step::Well(_) | Step::Ill(_) => {}
    }
    for &id in model.there.keys() {
        let is_out = world.node(&id.to_string()).is_out();
        let is_right = is_out == model.must_wait(id) || model.comes_back(id);
        prop_assert!(is_right, "{id}: {is_out}, {model:?}");
    }
    prop_assert!(model.out.len() <= model.most());
    Ok(())
}

/// In milliseconds of the model.
fn until_of(world: &World, id: u8, now: u64) -> u64 {
    let left = world.node(&id.to_string()).out_until();
    let left = left.map(|until| until.saturating_duration_since(world.now()));
    // The clock of a node is a nanosecond or two coarse.
    now + left.unwrap_or_default().as_micros().div_ceil(1_000) as u64
}

proptest! {
    #[test]
    fn nobody_who_is_out_is_chosen_and_never_too_many_are_out(
        steps in proptest::collection::vec(step(), 1..200),
    ) {
        let world = World::of(3, in_a_row());
        let mut model = Model { there: (0..3).map(|id| (id, 0)).collect(), ..Model::default() };
        for step in steps {
            take(step, &world, &mut model)?;
        }
    }
}
