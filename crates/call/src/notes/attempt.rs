use std::time::Duration;

use crate::Error;

/// Which try of the call this is.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Attempt {
    /// Zero-based, as go-micro counts.
    pub number: u32,
    /// How many attempts may still follow this one; 0 if it is the last, whatever its end.
    pub left: u32,
    /// How the one before ended.
    pub previous: Option<Error>,
    /// The time this one has, if that is less than the call has left.
    pub timeout: Option<Duration>,
    /// Whether it is sent beside one that is under way.
    pub hedged: bool,
    /// Whether its request had not ended when the call began. Another attempt may follow this one, but not once more of it was sent than
    /// is kept.
    pub streamed: bool,
}

impl Attempt {
    /// Attempt `number`, after which `left` may follow.
    #[inline]
    pub const fn new(number: u32, left: u32) -> Self {
        Self {
            number,
            left,
            previous: None,
            timeout: None,
            hedged: false,
            streamed: false,
        }
    }

    /// Says that it is sent beside one that is under way.
    #[must_use]
    #[inline]
    pub const fn beside(mut self) -> Self {
        self.hedged = true;
        self
    }

    /// Says whether its request had not ended when the call began.
    #[must_use]
    #[inline]
    pub const fn streamed(mut self, streamed: bool) -> Self {
        self.streamed = streamed;
        self
    }

    /// Adds how the one before ended.
    #[must_use]
    #[inline]
    pub fn after(mut self, previous: Option<Error>) -> Self {
        self.previous = previous;
        self
    }
}
