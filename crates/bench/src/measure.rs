//! Rounds of all cases, one after the other, so that whatever the machine does besides hits all of them alike.
//!
//! A round runs each case a number of times. What is reported is the median over all rounds: a round in which somebody else had the
//! processor has no weight.

use std::io;

use crate::{case::Case, cost::Cost};

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

impl PerCall {
    /// `cost` of `calls` calls.
    pub fn of(cost: Cost, calls: u64) -> Self {
        Self {
            nanoseconds: cost.time.as_nanos() as f64 / calls as f64,
            allocations: cost.allocations as f64 / calls as f64,
            unrest: 1.0,
        }
    }
}

/// The medians, in the order of `cases`.
///
/// # Errors
/// If a case needs a process of its own and that cannot be started.
pub fn measure(cases: &[Case], plan: Plan) -> io::Result<Vec<PerCall>> {
    let running = cases.iter().map(Case::begin_beside_others);
    let mut running = running.collect::<io::Result<Vec<_>>>()?;
    let mut measured = vec![Vec::new(); cases.len()];
    for _ in 0..plan.rounds {
        for (run, measured) in running.iter_mut().zip(&mut measured) {
            measured.push(PerCall::of(run.run(plan.calls), plan.calls));
        }
    }
    Ok(measured.iter().map(|rounds| medians(rounds)).collect())
}

fn medians(rounds: &[PerCall]) -> PerCall {
    let times = sorted(rounds.iter().map(|round| round.nanoseconds));
    let allocations = sorted(rounds.iter().map(|round| round.allocations));
    PerCall {
        nanoseconds: at(&times, 0.5),
        allocations: at(&allocations, 0.5),
        unrest: at(&times, 0.75) / at(&times, 0.25),
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
        let round = |nanoseconds| PerCall {
            nanoseconds,
            ..PerCall::default()
        };
        let rounds = [3.0, 900.0, 1.0, 2.0, 2.5].map(round);
        assert_eq!(medians(&rounds).nanoseconds, 2.5);
        assert_eq!(medians(&rounds).unrest, 1.5);
        assert_eq!(at(&[1.0, 2.0], 0.5), 2.0);
        assert_eq!(at(&[], 0.5), 0.0);
    }

    #[test]
    fn a_cost_is_shared_by_its_calls() {
        let cost = Cost {
            time: Duration::from_micros(3),
            allocations: 6,
        };
        let per_call = PerCall::of(cost, 4);
        assert_eq!((per_call.nanoseconds, per_call.allocations), (750.0, 1.5));
    }

    #[test]
    fn allocations_are_counted() {
        let work = || drop(std::hint::black_box(Box::new(7)));
        let cost = Cost::of(|| (0..5).for_each(|_| work()));
        assert_eq!(cost.allocations, 5);
    }
}
