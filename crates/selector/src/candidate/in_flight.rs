//! The guard of an attempt under way.

use std::fmt;
use std::sync::Arc;

use super::Candidate;

/// An attempt under way at a node; made by [`Candidate::begin`]. Keep it as long as the attempt
/// lasts, to the end of the response body.
#[must_use = "the attempt counts as over when the guard is dropped"]
pub struct InFlight(Arc<Candidate>);

impl InFlight {
    /// Counts an attempt at `candidate` as under way.
    pub fn at(candidate: Arc<Candidate>) -> Self {
        candidate.enter();
        Self(candidate)
    }

    /// Where it is under way.
    #[must_use]
    pub const fn candidate(&self) -> &Arc<Candidate> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InFlight").field(&self.0.address).finish()
    }
}
