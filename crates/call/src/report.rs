//! What a call that succeeded went through.

use std::{sync::Arc, time::Duration};

use tower_micro_selector::Candidate;

/// Left in the extensions of the response when the caller asked for it with
/// [`CallOptions::report`](crate::CallOptions::report).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallReport {
    /// The node that answered, if the stack has a layer that picks one.
    pub node: Option<Arc<Candidate>>,
    /// How many attempts were made, the successful one included.
    pub attempts: u32,
    /// From the first attempt to the response's headers.
    pub elapsed: Duration,
}

impl CallReport {
    /// `attempts` of them, `elapsed` in all.
    pub const fn new(attempts: u32, elapsed: Duration) -> Self {
        Self {
            node: None,
            attempts,
            elapsed,
        }
    }

    /// Adds the node that answered.
    #[must_use]
    pub fn with_node(mut self, node: Option<Arc<Candidate>>) -> Self {
        self.node = node;
        self
    }
}
