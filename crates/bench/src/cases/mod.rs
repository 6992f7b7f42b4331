//! The cases of `overhead`, in the order of the table.

mod bare;

mod peers;

mod layers;

mod onion;
pub(crate) mod pass_through;

mod picks;

mod threads;

pub(crate) mod tracing;

use crate::{case::Case, cost::Run, pin::Pinned};

/// All of them.
pub fn all() -> Vec<Case> {
    [
        bare::CASES,
        peers::CASES,
        layers::CASES,
        layers::OFF,
        onion::CASES,
        tracing::CASES,
        picks::CASES,
        threads::CASES,
    ]
    .concat()
}

/// What is said under a table of `cases` if they are not run as they should be.
pub fn warning(cases: &[Case], pinned: Pinned) -> String {
    threads::warning(cases, pinned)
}

/// The one called `name`, set up.
///
/// # Errors
/// If there is none: a text that says so.
pub fn begin(name: &str) -> Result<Box<dyn Run>, String> {
    let mut cases = all().into_iter();
    let case = cases.find(|case| case.name == name);
    let case = case.ok_or_else(|| format!("there is no case {name:?}: see --list"))?;
    Ok((case.begin)())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::goal::TimeGoal;

    #[test]
    fn names_are_unique_and_hold_no_tab() {
        let names: HashSet<_> = all().iter().map(|case| case.name).collect();
        assert_eq!(names.len(), all().len());
        assert!(
            names
                .iter()
                .all(|name| !name.is_empty() && !name.contains('\t'))
        );
    }

    #[test]
    fn a_case_is_compared_with_one_that_is_there() {
        let names: HashSet<_> = all().iter().map(|case| case.name).collect();
        for case in all() {
            let times = match case.goal.time {
                Some(TimeGoal::Times(_, other)) => Some(other),
                _ => None,
            };
            assert!(
                case.over.is_none_or(|other| names.contains(other)),
                "{case:?}"
            );
            assert!(times.is_none_or(|other| names.contains(other)), "{case:?}");
        }
    }

    #[test]
    fn every_case_can_be_run() {
        for case in all() {
            (case.begin)().run(3);
        }
    }
}
