//! The numbers of calls and attempts.
//!
//! # Place in the stack
//! [`CallMetricsLayer`] by `wrap_client`, [`AttemptMetricsLayer`] by `wrap_call`. Reads: the service's name, the attempt's node and
//! deadline. Waiting in `poll_ready` of what is inside is not measured.
//!
//! # Units and defaults
//! Times are to the end of the answer, trailers included. One that is let go of counts as CANCELLED, an attempt whose call's time is up as
//! DEADLINE_EXCEEDED. Attempts beside another (hedges) count among the retries. Each service that is called is a series: its names are for
//! the program to bound. Nodes are not named, since there may be thousands; [`AttemptMetricsLayer::by_node`] names them.
//!
//! # Errors
//! None of their own.
//!
//! # Example
//! ```
//! # #[cfg(feature = "otel")] {
//! use std::sync::Arc;
//! use tower_micro_metrics::{AttemptMetricsLayer, CallMetricsLayer, Otel};
//!
//! let otel = Arc::new(Otel::new(&opentelemetry::global::meter("my-program")));
//! let (calls, attempts) = (CallMetricsLayer::new(otel.clone()), AttemptMetricsLayer::new(otel));
//! // Client::builder().wrap_client(calls).wrap_call(attempts)
//! # let _ = (calls, attempts); }
//! ```

use std::sync::Arc;

use http::{Request, Response};
use tokio::time::Instant;
use tonic::Code;
use tower_layer::Layer;
use tower_micro_call::{Deadline, Error, Notes};
use tower_micro_observe::{Answered, Ending, Observe, Observer, Watch, words};

use crate::{Attempt, Call, Labels, Measure, Methods};

/// Makes [`CallMetrics`] services. See the [module docs](self) for an example.
#[derive(Clone, Debug)]
pub struct CallMetricsLayer<M> {
    source: Source<M>,
}

/// Makes [`AttemptMetrics`] services. See the [module docs](self) for an example.
#[derive(Clone, Debug)]
pub struct AttemptMetricsLayer<M> {
    source: Source<M>,
    by_node: bool,
}

/// Measures each call.
pub type CallMetrics<S, M> = Observe<S, Calls<M>>;

/// Measures each attempt.
pub type AttemptMetrics<S, M> = Observe<S, Attempts<M>>;

#[derive(Debug)]
struct Source<M> {
    measure: Arc<M>,
    methods: Methods,
}

impl<M> Clone for Source<M> {
    fn clone(&self) -> Self {
        Self {
            measure: Arc::clone(&self.measure),
            methods: self.methods.clone(),
        }
    }
}

impl<M> Source<M> {
    fn labels<B: 'static>(&self, request: &Request<B>) -> Labels {
        let notes = Notes::of(request);
        Labels {
            method: self.methods.name(request.uri().path()),
            service: notes.and_then(Notes::service).cloned(),
        }
    }
}

impl<M: Measure> CallMetricsLayer<M> {
    /// Tells `measure`.
    pub fn new(measure: Arc<M>) -> Self {
        let methods = Methods::default();
        Self {
            source: Source { measure, methods },
        }
    }

    /// Which methods have series of their own.
    #[must_use]
    pub fn methods(mut self, methods: Methods) -> Self {
        self.source.methods = methods;
        self
    }
}

impl<M: Measure> AttemptMetricsLayer<M> {
    /// Tells `measure`.
    pub fn new(measure: Arc<M>) -> Self {
        let methods = Methods::default();
        Self {
            source: Source { measure, methods },
            by_node: false,
        }
    }

    /// Which methods have series of their own.
    #[must_use]
    pub fn methods(mut self, methods: Methods) -> Self {
        self.source.methods = methods;
        self
    }

    /// Names the node of each attempt: a series for each node and method, for those who have few of both.
    #[must_use]
    pub const fn by_node(mut self) -> Self {
        self.by_node = true;
        self
    }
}

impl<S, M: Measure> Layer<S> for CallMetricsLayer<M> {
    type Service = CallMetrics<S, M>;

    fn layer(&self, inner: S) -> Self::Service {
        Observe::new(inner, Calls(self.source.clone()))
    }
}

impl<S, M: Measure> Layer<S> for AttemptMetricsLayer<M> {
    type Service = AttemptMetrics<S, M>;

    fn layer(&self, inner: S) -> Self::Service {
        let (source, by_node) = (self.source.clone(), self.by_node);
        Observe::new(inner, Attempts { source, by_node })
    }
}

/// The observer of calls.
#[derive(Debug)]
pub struct Calls<M>(Source<M>);

impl<M> Clone for Calls<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: Measure> Observer for Calls<M> {
    type Watch = OneCall<M>;

    fn begin<B: 'static>(&self, request: &mut Request<B>) -> Option<OneCall<M>> {
        let labels = self.0.labels(request);
        self.0.measure.call_began(&labels);
        Some(OneCall {
            measure: Arc::clone(&self.0.measure),
            labels,
            began: Instant::now(),
            answered: None,
        })
    }
}

/// A call that is measured.
#[derive(Debug)]
pub struct OneCall<M> {
    measure: Arc<M>,
    labels: Labels,
    began: Instant,
    /// Which attempt has answered.
    answered: Option<u32>,
}

impl<M: Measure> Watch for OneCall<M> {
    fn answered<B: 'static>(&mut self, response: &mut Response<B>) {
        self.answered = Answered::of(response).map(|answered| answered.attempts);
    }

    fn ended(self, ending: Ending<'_>) {
        let error = match ending {
            Ending::Failed(error) => Some(error),
            _ => None,
        };
        let code = ending.code();
        let failed = (code != Code::Ok).then(|| ending.broken().unwrap_or(words::code(code)));
        self.measure.call_ended(&Call {
            labels: &self.labels,
            status: words::code(code),
            error: error.map(words::error_type).or(failed),
            elapsed: self.began.elapsed(),
            // How an answer ends does not know how many there were before it.
            attempts: self.answered.or(error.map(Error::attempts)).unwrap_or(1),
        });
    }
}

/// The observer of attempts.
#[derive(Debug)]
pub struct Attempts<M> {
    source: Source<M>,
    by_node: bool,
}

impl<M> Clone for Attempts<M> {
    fn clone(&self) -> Self {
        Self {
            source: self.source.clone(),
            by_node: self.by_node,
        }
    }
}

impl<M: Measure> Observer for Attempts<M> {
    type Watch = OneAttempt<M>;

    fn begin<B: 'static>(&self, request: &mut Request<B>) -> Option<OneAttempt<M>> {
        let labels = self.source.labels(request);
        let notes = Notes::of(request);
        let node = notes.and_then(Notes::node).filter(|_| self.by_node);
        self.source.measure.attempt_began(&labels);
        Some(OneAttempt {
            measure: Arc::clone(&self.source.measure),
            labels,
            began: Instant::now(),
            node: node.map(|node| node.id.clone()),
            deadline: notes.and_then(Notes::deadline),
        })
    }
}

/// An attempt that is measured.
#[derive(Debug)]
pub struct OneAttempt<M> {
    measure: Arc<M>,
    labels: Labels,
    began: Instant,
    node: Option<String>,
    deadline: Option<Deadline>,
}

impl<M: Measure> Watch for OneAttempt<M> {
    fn ended(self, ending: Ending<'_>) {
        let code = ending.code_of_attempt(self.deadline);
        let disposition = match ending {
            Ending::Failed(error) => Some(words::disposition(error)),
            _ => None,
        };
        self.measure.attempt_ended(&Attempt {
            labels: &self.labels,
            status: words::code(code),
            disposition,
            elapsed: self.began.elapsed(),
            node: self.node.as_deref(),
        });
    }
}
