//! The numbers of a server.
//!
//! # Place in the stack
//! Outermost on a tonic server.
//!
//! # Units and defaults
//! From the request's headers to the end of the answer, trailers included, of what is asked for in gRPC or gRPC-Web: plain HTTP beside it
//! is no call. A method is counted as `other` until a handler has answered it, as far as that can be seen: what is not answered, is
//! answered without gRPC, or at once with UNIMPLEMENTED, UNAUTHENTICATED, PERMISSION_DENIED, RESOURCE_EXHAUSTED or UNAVAILABLE may be a
//! name that somebody made up, which a layer has refused. A handler whose time is up is let go of, and counts as CANCELLED, as tonic tells
//! its caller.
//!
//! # Errors
//! None of its own.
//!
//! # Example
//! ```
//! # #[cfg(feature = "otel")] {
//! use std::sync::Arc;
//! use tower_micro_metrics::{HandlerMetricsLayer, Otel};
//!
//! let otel = Arc::new(Otel::new(&opentelemetry::global::meter("my-program")));
//! let server = tonic::transport::Server::builder().layer(HandlerMetricsLayer::new(otel));
//! # let _ = server; }
//! ```

use std::sync::Arc;

use http::{Request, Response, Uri};
use tokio::time::Instant;
use tonic::{Code, Status};
use tower_layer::Layer;
use tower_micro_observe::{Ending, ObserveExchange, Observer, Watch, is_grpc, words};

use crate::{Handled, Labels, Measure, Methods};

/// Makes [`HandlerMetrics`] services. See the [module docs](self) for an example.
#[derive(Debug)]
pub struct HandlerMetricsLayer<M> {
    handlers: Handlers<M>,
}

impl<M> Clone for HandlerMetricsLayer<M> {
    fn clone(&self) -> Self {
        let handlers = self.handlers.clone();
        Self { handlers }
    }
}

impl<M: Measure> HandlerMetricsLayer<M> {
    /// Tells `measure`.
    pub fn new(measure: Arc<M>) -> Self {
        let methods = Methods::default();
        Self {
            handlers: Handlers { measure, methods },
        }
    }

    /// Which methods have series of their own.
    #[must_use]
    pub fn methods(mut self, methods: Methods) -> Self {
        self.handlers.methods = methods;
        self
    }
}

impl<S, M: Measure> Layer<S> for HandlerMetricsLayer<M> {
    type Service = HandlerMetrics<S, M>;

    fn layer(&self, inner: S) -> Self::Service {
        ObserveExchange::new(inner, self.handlers.clone())
    }
}

/// Measures each call that is handled.
pub type HandlerMetrics<S, M> = ObserveExchange<S, Handlers<M>>;

/// The observer of handlers.
#[derive(Debug)]
pub struct Handlers<M> {
    measure: Arc<M>,
    methods: Methods,
}

impl<M> Clone for Handlers<M> {
    fn clone(&self) -> Self {
        Self {
            measure: Arc::clone(&self.measure),
            methods: self.methods.clone(),
        }
    }
}

impl<M: Measure> Observer for Handlers<M> {
    type Watch = OneHandled<M>;

    fn begin<B: 'static>(&self, request: &mut Request<B>) -> Option<OneHandled<M>> {
        is_grpc(request.headers()).then(|| OneHandled {
            handlers: self.clone(),
            uri: request.uri().clone(),
            began: Instant::now(),
            answer: Answer::None,
        })
    }
}

/// A handler that is measured.
#[derive(Debug)]
pub struct OneHandled<M> {
    handlers: Handlers<M>,
    uri: Uri,
    began: Instant,
    answer: Answer,
}

/// What is known of an answer by its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// There is none in gRPC.
    None,
    /// It has its status already, as what a layer refuses has.
    Whole,
    /// Its status is still to come, which only a handler's is.
    Begun,
}

impl<M: Measure> Watch for OneHandled<M> {
    fn answered<B: 'static>(&mut self, response: &mut Response<B>) {
        self.answer = match is_grpc(response.headers()) {
            false => Answer::None,
            true if response.headers().contains_key(Status::GRPC_STATUS) => Answer::Whole,
            true => Answer::Begun,
        };
    }

    fn ended(self, ending: Ending<'_>) {
        let Handlers { measure, methods } = &self.handlers;
        let code = ending.code();
        let is_handled = match self.answer {
            Answer::None => matches!(ending, Ending::Panicked),
            Answer::Whole => !is_before_handlers(code),
            Answer::Begun => true,
        };
        let method = if is_handled {
            methods.name(self.uri.path())
        } else {
            methods.name_if_known(self.uri.path())
        };
        let kind = ending.broken().unwrap_or(words::code(code));
        let error = words::is_servers_fault(code).then_some(kind);
        measure.handled(&Handled {
            labels: &Labels {
                method,
                service: None,
            },
            status: words::code(code),
            error,
            elapsed: self.began.elapsed(),
        });
    }
}

/// Whether a layer outside of all handlers may have answered so, whatever was asked for.
const fn is_before_handlers(code: Code) -> bool {
    matches!(
        code,
        Code::Unimplemented
            | Code::Unauthenticated
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::Unavailable
    )
}
