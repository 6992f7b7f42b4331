//! A span for each call: kind CLIENT, from the first moment to the end of the answer, attempts, backoff and trailers included.
//!
//! # Place in the stack
//! Outermost: `wrap_client`. Alone it goes around any tonic channel. Reads: the service's name. Leaves: the headers of the trace on the
//! request, which every attempt starts from.
//!
//! # Units and defaults
//! The span ends once: at the trailers, at a failure, or when the call is let go of, which is CANCELLED. Success leaves its status
//! unset; a recovered attempt leaves no error on it. Its target is [`attributes::CALL`], its level INFO. No metadata is recorded
//! unless it is allowed by name. A call whose span is filtered out, or made without a subscriber, sends on the context that it
//! stands in.
//!
//! # Errors
//! None of its own.
//!
//! # Example
//! ```
//! use tower_micro_trace::{CallTraceLayer, Names};
//!
//! let layer = CallTraceLayer::new(); // Client::builder().wrap_client(layer)
//! let like_go_micro = CallTraceLayer::new().names(Names::GoMicro);
//! # let _ = (layer, like_go_micro);
//! ```
//!
//! # Not here
//! Attempts, and their nodes: see [`attempt`](crate::attempt). Plain HTTP: see [`http`](crate::http).

use std::sync::Arc;

use ::http::{HeaderName, Request, Response};
use opentelemetry::Context;
use tower_layer::Layer;
use tower_micro_call::{Ambient, Metadata, Notes, ambient};
use tower_micro_observe::{Answered, Ending, Observe, Observer, Watch};
use tracing::{Level, Span, field::Empty, span};

use crate::{
    Names, Propagation, attributes, ending,
    names::Role,
    propagation::is_worth_sending,
    settings::{Settings, context_of, is_off},
};

/// Makes [`CallTrace`] services. See the [module docs](self) for an example.
#[derive(Clone, Debug, Default)]
pub struct CallTraceLayer {
    settings: Settings,
}

impl CallTraceLayer {
    /// OpenTelemetry's names, W3C headers, no metadata.
    pub fn new() -> Self {
        Self::default()
    }

    /// What spans are called.
    #[must_use]
    pub const fn names(mut self, names: Names) -> Self {
        self.settings.names = names;
        self
    }

    /// What carries the trace to the node.
    #[must_use]
    pub fn propagation(mut self, propagation: Propagation) -> Self {
        self.settings.propagation = propagation;
        self
    }

    /// Records these headers of the request, and no other.
    #[must_use]
    pub fn record_metadata(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.settings.allow(names);
        self
    }
}

impl<S> Layer<S> for CallTraceLayer {
    type Service = CallTrace<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let settings = self.settings.clone();
        Observe::new(inner, Calls { settings })
    }
}

/// Makes a span of each call.
pub type CallTrace<S> = Observe<S, Calls>;

/// The observer of calls.
#[derive(Clone, Debug)]
pub struct Calls {
    settings: Settings,
}

impl Calls {
    fn span<B>(&self, request: &Request<B>) -> Span {
        let path = request.uri().path();
        let notes = Notes::of(request.extensions());
        let service = notes.and_then(|notes| Some(notes.service()?.as_str()));
        let span = span!(
            target: attributes::CALL,
            Level::INFO,
            "call",
            otel.name = &*self.settings.names.of(Role::Call, path, service),
            otel.kind = "client",
            { attributes::SYSTEM } = "grpc",
            { attributes::METHOD } = path.strip_prefix('/').unwrap_or(path),
            { attributes::SERVER_ADDRESS } = service.or_else(|| request.uri().host()),
            { attributes::STATUS_CODE } = Empty,
            { attributes::ERROR_TYPE } = Empty,
            { attributes::PEER_ADDRESS } = Empty,
            { attributes::PEER_PORT } = Empty,
            { attributes::NODE } = Empty,
            { attributes::ATTEMPTS } = Empty,
            otel.status_code = Empty,
            otel.status_description = Empty,
        );
        if !span.is_disabled() {
            self.settings.record(&span, request.headers());
        }
        span
    }

    fn send<B>(&self, cx: &Context, request: &mut Request<B>) {
        let headers = request.headers_mut();
        self.settings.propagation.inject_headers(cx, headers);
    }

    /// What flows in from the handler that makes this call, without the headers of the trace it stands in: go-micro sends all metadata
    /// on, and a parent in a format that is not sent here would contradict ours.
    fn without_parent(&self) -> Option<Arc<Ambient>> {
        let ambient = ambient::current()?;
        let is_parent = |key: &str| self.settings.propagation.is_field(key);
        if !ambient.metadata.iter().any(|(key, _)| is_parent(key)) {
            return None;
        }
        let kept = ambient.metadata.iter().filter(|(key, _)| !is_parent(key));
        let mut metadata = Metadata::new();
        metadata
            .merge(kept, true)
            .expect("what comes out of a Metadata goes into one");
        Some(Arc::new(Ambient::clone(&ambient).with_metadata(metadata)))
    }
}

impl Observer for Calls {
    type Watch = Call;

    fn begin<B>(&self, request: &mut Request<B>) -> Option<Call> {
        let span = if is_off() {
            Span::none()
        } else {
            self.span(request)
        };
        if span.is_disabled() && !Context::map_current(is_worth_sending) {
            return None;
        }
        let cx = context_of(&span);
        self.send(&cx, request);
        let ambient = is_worth_sending(&cx)
            .then(|| self.without_parent())
            .flatten();
        (!span.is_disabled() || ambient.is_some()).then_some(Call { span, ambient })
    }
}

/// A call under way.
#[derive(Debug)]
pub struct Call {
    span: Span,
    /// What flows in from the handler that makes this call, if it had to be changed.
    ambient: Option<Arc<Ambient>>,
}

impl Watch for Call {
    fn within<T>(&mut self, run: impl FnOnce() -> T) -> T {
        let _entered = self.span.enter();
        match &self.ambient {
            Some(ambient) => ambient::within(Arc::clone(ambient), run),
            None => run(),
        }
    }

    fn answered<B>(&mut self, response: &mut Response<B>) {
        if let Some(answered) = Answered::of(response) {
            ending::at(&self.span, answered.attempts, answered.node.as_deref());
        }
    }

    fn ended(self, ending: Ending<'_>) {
        if let Ending::Failed(error) = ending {
            ending::at(
                &self.span,
                error.attempts(),
                error.node().map(|node| &**node),
            );
        }
        ending::of_client(&self.span, ending.code(), &ending);
    }
}
