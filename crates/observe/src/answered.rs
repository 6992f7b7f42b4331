//! What an attempt that succeeded tells whoever looks at the whole call.

use std::sync::Arc;

use http::Response;
use tower_micro_call::CallReport;
use tower_micro_selector::Candidate;

/// Which attempt has answered. An observer of attempts leaves it on the response, one of calls takes it off.
///
/// A call that failed tells the same by its [`Error`](tower_micro_call::Error).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answered {
    /// How many attempts were made, this one included.
    pub attempts: u32,
    /// The node that answers.
    pub node: Option<Arc<Candidate>>,
}

impl Answered {
    /// By attempt number `attempts`, counted from 1, on `node`.
    pub const fn new(attempts: u32, node: Option<Arc<Candidate>>) -> Self {
        Self { attempts, node }
    }

    /// Leaves it on `response`, for those outside.
    pub fn leave<B>(self, response: &mut Response<B>) {
        response.extensions_mut().insert(self);
    }

    /// What `response` tells: by an observer of attempts, or by the report that the caller asked for.
    pub fn of<B>(response: &Response<B>) -> Option<Self> {
        let extensions = response.extensions();
        if extensions.is_empty() {
            return None;
        }
        let reported = |report: &CallReport| Self::new(report.attempts, report.node.clone());
        let left = extensions.get::<Self>().cloned();
        left.or_else(|| extensions.get().map(reported))
    }
}
