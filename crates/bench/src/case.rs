//! One row of the table: calls, what their cost is compared with, and what we want it to be.

use crate::{cost::Run, goal::Goal};

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Unique, without a tab.
    pub name: &'static str,
    /// The case whose cost is taken off this one's; `None` for absolute figures.
    pub over: Option<&'static str>,
    /// What we want the difference to be.
    pub goal: Goal,
    /// Sets it up, ready to be run any number of times.
    pub begin: fn() -> Box<dyn Run>,
}

impl Case {
    /// Absolute figures, no goal.
    pub const fn new(name: &'static str, begin: fn() -> Box<dyn Run>) -> Self {
        Self {
            name,
            over: None,
            goal: Goal::NONE,
            begin,
        }
    }

    /// Takes off the cost of `case`.
    #[must_use]
    pub const fn over(mut self, case: &'static str) -> Self {
        self.over = Some(case);
        self
    }

    /// Adds what we want it to be.
    #[must_use]
    pub const fn goal(mut self, goal: Goal) -> Self {
        self.goal = goal;
        self
    }
}
