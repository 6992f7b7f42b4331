//! What each case costs over the one it is compared with.

use crate::{case::Case, instructions::Instructions, measure::PerCall};

/// The figures of one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Time per call.
    pub nanoseconds: f64,
    /// Allocations per call.
    pub allocations: f64,
    /// Instructions per call, if they were counted.
    pub instructions: Option<f64>,
}

impl Figures {
    fn of(case: &Case, measured: PerCall, counted: &Instructions) -> Self {
        Self {
            nanoseconds: measured.nanoseconds,
            allocations: measured.allocations,
            instructions: counted.get(case.name).copied(),
        }
    }

    fn over(self, other: Self) -> Self {
        let instructions = self.instructions.zip(other.instructions);
        Self {
            nanoseconds: self.nanoseconds - other.nanoseconds,
            allocations: self.allocations - other.allocations,
            instructions: instructions.map(|(own, others)| own - others),
        }
    }
}

/// The rows, in the order of `cases`, which were measured in the same order.
pub fn figures(
    cases: &[Case],
    measured: &[PerCall],
    counted: &Instructions,
) -> Vec<(Case, Figures)> {
    let absolute = |place: usize| Figures::of(&cases[place], measured[place], counted);
    let place_of = |name| cases.iter().position(|case| case.name == name);
    let row = |(place, case): (usize, &Case)| {
        let own = absolute(place);
        let others = case.over.and_then(place_of).map(absolute);
        (*case, others.map_or(own, |others| own.over(others)))
    };
    cases.iter().enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn case(name: &'static str) -> Case {
        Case::new(name, || unreachable!("it is not run"))
    }

    const fn costs(nanoseconds: f64, allocations: f64) -> PerCall {
        PerCall {
            nanoseconds,
            allocations,
            unrest: 1.0,
        }
    }

    #[test]
    fn what_a_case_is_compared_with_is_taken_off() {
        let cases = [case("empty"), case("full").over("empty")];
        let counted = [("empty".to_owned(), 1_000.0), ("full".to_owned(), 6_000.0)];
        let rows = figures(
            &cases,
            &[costs(200.0, 4.0), costs(800.0, 10.0)],
            &counted.into(),
        );
        let expected = Figures {
            nanoseconds: 600.0,
            allocations: 6.0,
            instructions: Some(5_000.0),
        };
        assert_eq!(rows[0].1.nanoseconds, 200.0);
        assert_eq!(rows[1].1, expected);
    }

    #[test]
    fn a_case_has_no_instructions_where_one_of_two_was_not_counted() {
        let cases = [case("empty"), case("full").over("empty")];
        let counted = [("full".to_owned(), 6_000.0)];
        let rows = figures(&cases, &[costs(1.0, 0.0); 2], &counted.into());
        assert_eq!(rows[1].1.instructions, None);
    }
}
