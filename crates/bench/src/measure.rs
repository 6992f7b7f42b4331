//! Rounds of all cases, one after the other, so that whatever the machine does besides hits all of them alike.
//!
//! A round runs each case a number of times. What is reported is the median over all rounds: a round in which somebody else had the
//! processor has no weight.

use std::io;

use crate::{
    apart::Apart,
    case::Case,
    cost::{Cost, Run},
};

/// So many calls of a case have their allocations counted.
const COUNTED: u64 = 2_000;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Rounds over all cases.
    pub rounds: u64,
    /// Calls of each case in a round.
    pub calls: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            rounds: 25,
            calls: 20_000,
        }
    }
}

impl Plan {
    /// To see whether everything works; the figures are worth little.
    pub const fn quick() -> Self {
        Self {
            rounds: 5,
            calls: 2_000,
        }
    }
}

/// What one call of a case costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PerCall {
    /// Time.
    pub nanoseconds: f64,
    /// Allocations.
    pub allocations: f64,
    /// How many times as long the slowest quarter of the rounds takes, at least, as the fastest takes at most. Near 1 on a machine that
    /// has nothing else to do.
    pub unrest: f64,
}

/// The medians, in the order of `cases`. Allocations are counted beforehand, in other processes: counting takes time of its own.
///
/// # Errors
/// If a process of its own that a case needs cannot be started.
pub fn measure(cases: &[Case], plan: Plan) -> io::Result<Vec<PerCall>> {
    let allocations = cases.iter().map(|case| allocations(case.name));
    let allocations = allocations.collect::<io::Result<Vec<_>>>()?;
    let times = times(cases, plan)?.into_iter();
    let measured = times.zip(allocations);
    Ok(measured
        .map(|(times, allocations)| PerCall::of(times, allocations))
        .collect())
}

fn allocations(name: &str) -> io::Result<f64> {
    let cost = Apart::counting(name)?.run(COUNTED);
    Ok(cost.allocations as f64 / COUNTED as f64)
}

/// Nanoseconds a call of each case, in each round.
fn times(cases: &[Case], plan: Plan) -> io::Result<Vec<Vec<f64>>> {
    let running = cases.iter().map(Case::begin_beside_others);
    let mut running = running.collect::<io::Result<Vec<_>>>()?;
    let mut times = vec![Vec::new(); cases.len()];
    for _ in 0..plan.rounds {
        for (run, times) in running.iter_mut().zip(&mut times) {
            times.push(nanoseconds(run.run(plan.calls), plan.calls));
        }
    }
    Ok(times)
}

fn nanoseconds(cost: Cost, calls: u64) -> f64 {
    cost.time.as_nanos() as f64 / calls as f64
}

impl PerCall {
    fn of(times: Vec<f64>, allocations: f64) -> Self {
        let times = sorted(times.into_iter());
        Self {
            nanoseconds: at(&times, 0.5),
            allocations,
            unrest: at(&times, 0.75) / at(&times, 0.25),
        }
    }
}

pub(crate) fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The value that `share` of all are below; the upper of two. Zero of none.
pub(crate) fn at(sorted: &[f64], share: f64) -> f64 {
    let place = (sorted.len() as f64 * share) as usize;
    sorted.get(place).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_median_does_not_heed_a_round_that_was_disturbed() {
        let measured = PerCall::of(vec![3.0, 900.0, 1.0, 2.0, 2.5], 4.0);
        assert_eq!((measured.nanoseconds, measured.allocations), (2.5, 4.0));
        assert_eq!(measured.unrest, 1.5);
        assert_eq!(at(&[1.0, 2.0], 0.5), 2.0);
        assert_eq!(at(&[], 0.5), 0.0);
    }

    #[test]
    fn a_time_is_shared_by_its_calls() {
        let time = Duration::from_micros(3);
        let cost = Cost {
            time,
            ..Cost::default()
        };
        assert_eq!(nanoseconds(cost, 4), 750.0);
    }
}
