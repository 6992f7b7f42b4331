//! Who chooses the node of a call: the trait, what it is told, and what it answers.
//!
//! go-micro v2's `selector.Selector` (`selector/selector.go`), with two changes: an answer that
//! needs no waiting comes without a future, and what a call ended with is a [`Mark`] rather than an
//! error or nil.
//!
//! # Example
//!
//! A selector that knows one node:
//!
//! ```
//! use std::sync::Arc;
//! use tower_micro_registry::ServiceName;
//! use tower_micro_selector::{Candidate, Picker, SelectOptions, Selection, Selector};
//!
//! #[derive(Debug)]
//! struct Sidecar(Arc<Candidate>);
//!
//! impl Selector for Sidecar {
//!     fn select(&self, _service: &ServiceName, _options: &SelectOptions) -> Selection {
//!         Selection::Ready(Ok(Picker::fixed(Arc::clone(&self.0))))
//!     }
//!
//!     fn name(&self) -> &'static str {
//!         "sidecar"
//!     }
//! }
//! ```

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_micro_registry::{BoxFuture, ServiceName};

use crate::{Candidate, Fault, Filter, Picker, SelectError, Strategy};

/// Chooses nodes for calls. See the [module docs](self) for an example.
pub trait Selector: fmt::Debug + Send + Sync + 'static {
    /// Who is in question for one call to `service`. Asked once per call; the [`Picker`] is asked
    /// once per attempt.
    fn select(&self, service: &ServiceName, options: &SelectOptions) -> Selection;

    /// Hears how an attempt at `candidate` ended. Once per attempt that got a node, be it one that began before the node went out:
    /// [`Candidate::ejections`] tells them apart. Does nothing by default.
    fn mark(&self, service: &ServiceName, candidate: &Arc<Candidate>, mark: Mark<'_>) {
        let _ = (service, candidate, mark);
    }

    /// Whether [`mark`](Self::mark) does what [`Candidate::mark`] does and nothing else. Then a call need not keep the
    /// selector until its end.
    fn marks_only_the_node(&self) -> bool {
        false
    }

    /// A word for logs and for the printed stack.
    fn name(&self) -> &'static str;
}

impl<S: Selector + ?Sized> Selector for Arc<S> {
    fn select(&self, service: &ServiceName, options: &SelectOptions) -> Selection {
        (**self).select(service, options)
    }

    fn mark(&self, service: &ServiceName, candidate: &Arc<Candidate>, mark: Mark<'_>) {
        (**self).mark(service, candidate, mark);
    }

    fn marks_only_the_node(&self) -> bool {
        (**self).marks_only_the_node()
    }

    fn name(&self) -> &'static str {
        (**self).name()
    }
}

/// What one call asks of its selector. The default asks for nothing.
#[derive(Clone, Debug, Default)]
pub struct SelectOptions {
    /// Who is in question, applied in order (go-micro's `WithFilter`).
    pub filters: Vec<Filter>,
    /// Who of them is taken (go-micro's `WithStrategy`); the selector's own strategy if `None`.
    pub strategy: Option<Arc<dyn Strategy>>,
    /// A retry goes to a node that this call has not tried, while there is one. go-micro does not.
    pub avoid_tried: bool,
    /// For strategies that send like to like; see [`Turn::hash_key`](crate::Turn::hash_key).
    pub hash_key: Option<u64>,
}

/// The answer of a [`Selector`]. It is a future too: `selector.select(..).await`.
#[must_use = "nothing is chosen before the answer is taken"]
pub enum Selection {
    /// Known at once: the rule, once the selector knows the service.
    Ready(Result<Picker, SelectError>),
    /// To be waited for: the first calls to a service. May be dropped at any time. Has no time
    /// limit of its own.
    Pending(BoxFuture<'static, Result<Picker, SelectError>>),
}

impl Future for Selection {
    type Output = Result<Picker, SelectError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Ready(answer) => Poll::Ready(answer.clone()),
            Self::Pending(future) => future.as_mut().poll(cx),
        }
    }
}

impl fmt::Debug for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(answer) => f.debug_tuple("Ready").field(answer).finish(),
            Self::Pending(_) => f.debug_tuple("Pending").finish_non_exhaustive(),
        }
    }
}

/// How an attempt at a node ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Mark<'a> {
    /// It answered.
    Success,
    /// It failed with this. What the outermost call wrapper returned, as in go-micro; and who is to blame.
    Failure(&'a (dyn Error + 'static), Fault),
    /// Its time was over before it had answered to the end; and who is to blame.
    TimedOut(Fault),
    /// Nobody waited for it any more. Says nothing about the node.
    Cancelled,
}
