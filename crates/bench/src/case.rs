//! One row of the table: calls, what their cost is compared with, and what we want it to be.

use std::io;

use crate::{apart::Apart, cost::Run, goal::Goal};

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
    /// Whether it changes the process it runs in, so that it needs one of its own beside others.
    pub apart: bool,
}

impl Case {
    /// Absolute figures, no goal.
    pub const fn new(name: &'static str, begin: fn() -> Box<dyn Run>) -> Self {
        Self {
            name,
            over: None,
            goal: Goal::NONE,
            begin,
            apart: false,
        }
    }

    /// Takes off the cost of `case`.
    #[must_use]
    pub const fn over(mut self, case: &'static str) -> Self {
        self.over = Some(case);
        self
    }

    /// Runs in a process of its own where other cases are measured too: what it installs would change what they cost.
    #[must_use]
    pub const fn apart(mut self) -> Self {
        self.apart = true;
        self
    }

    /// Sets it up, beside others.
    ///
    /// # Errors
    /// If it needs a process of its own and that cannot be started.
    pub fn begin_beside_others(&self) -> io::Result<Box<dyn Run>> {
        Ok(if self.apart {
            Box::new(Apart::start(self.name)?)
        } else {
            (self.begin)()
        })
    }

    /// Adds what we want it to be.
    #[must_use]
    pub const fn goal(mut self, goal: Goal) -> Self {
        self.goal = goal;
        self
    }
}
