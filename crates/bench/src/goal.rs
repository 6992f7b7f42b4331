//! What a call should cost.

/// The most that a case should cost over the one it is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Goal {
    /// Time per call.
    pub time: Option<TimeGoal>,
    /// Allocations per call.
    pub allocations: Option<f64>,
    /// Instructions per call.
    pub instructions: Option<f64>,
}

/// A goal for time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TimeGoal {
    /// So many.
    Nanoseconds(f64),
    /// So many times what this other case costs over its own.
    Times(f64, &'static str),
}

impl Goal {
    /// Nothing is asked for.
    pub const NONE: Self = Self {
        time: None,
        allocations: None,
        instructions: None,
    };

    /// At most so many nanoseconds.
    pub const fn nanoseconds(most: f64) -> Self {
        let time = Some(TimeGoal::Nanoseconds(most));
        Self { time, ..Self::NONE }
    }

    /// At most `factor` times what `case` costs.
    pub const fn times(factor: f64, case: &'static str) -> Self {
        let time = Some(TimeGoal::Times(factor, case));
        Self { time, ..Self::NONE }
    }

    /// And at most so many allocations.
    #[must_use]
    pub const fn allocations(mut self, most: f64) -> Self {
        self.allocations = Some(most);
        self
    }

    /// And at most so many instructions.
    #[must_use]
    pub const fn instructions(mut self, most: f64) -> Self {
        self.instructions = Some(most);
        self
    }
}
