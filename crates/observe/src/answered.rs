//! What a call that is answered tells whoever looks at it.

use std::{any::Any, sync::Arc};

use http::Response;
use tower_micro_call::{CallReport, ResponseBody};
use tower_micro_selector::Candidate;

/// Which attempt has answered, as retry and pick leave it on the body of the answer.
///
/// A call that failed tells the same by its [`Error`](tower_micro_call::Error).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answered {
    /// How many attempts were made, this one included; at least 1.
    pub attempts: u32,
    /// The node that answers.
    pub node: Option<Arc<Candidate>>,
}

impl Answered {
    /// What `response` tells: by its body, or, where a layer between has put another body around that, by the report that the caller
    /// asked for.
    pub fn of<B: 'static>(response: &Response<B>) -> Option<Self> {
        let body = (response.body() as &dyn Any).downcast_ref::<ResponseBody>();
        let told = body.map(|body| (body.attempts(), body.node().cloned()));
        let told = told.filter(|(attempts, node)| *attempts > 0 || node.is_some());
        let reported = |report: &CallReport| (report.attempts, report.node.clone());
        let (attempts, node) = told.or_else(|| response.extensions().get().map(reported))?;
        let attempts = attempts.max(1);
        Some(Self { attempts, node })
    }
}
