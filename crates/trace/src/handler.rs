//! A span for each call that a gRPC server handles: kind SERVER, under the span that the caller sent.
//!
//! # Place in the stack
//! Outermost on a server: `Server::builder().layer(…)`, outside of `handlers()`, whose calls then stand under it. Reads: the headers
//! of the request.
//!
//! # Units and defaults
//! The span ends with the status of the answer, in its headers or its trailers, whoever still holds a handle of it; streams last to their
//! end. Of the codes only UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE and DATA_LOSS are errors of a server (semantic
//! conventions). An answer that the caller lets go of is CANCELLED. The handler, and the body of a stream it answers with, run inside of the
//! span; where the span is filtered out they run inside of the caller's context, so that the chain goes on. So does plain HTTP that is
//! served beside gRPC, which is no call and has no span here. Headers that make no sense are no parent. The target is
//! [`attributes::HANDLER`], the level INFO.
//!
//! # Errors
//! None of its own.
//!
//! # Example
//! ```
//! use tower_micro_trace::HandlerTraceLayer;
//!
//! let layer = HandlerTraceLayer::new().methods(["greeter.Greeter/SayHello", "greeter.Greeter/SayGoodbye"]);
//! let server = tonic::transport::Server::builder().layer(layer);
//! # let _ = server;
//! ```
//!
//! # Not here
//! Tasks that a handler spawns: give them the span with `tracing::Instrument::in_current_span`.

use ::http::{HeaderMap, HeaderName, Request};
use opentelemetry::Context;
use tower_layer::Layer;
use tower_micro_observe::{Ending, ObserveExchange, Observer, Watch, is_grpc};
use tracing::{Level, Span, field::Empty, span};

use crate::{
    Names, Propagation, attributes,
    ending::{Last, cut},
    names::{Methods, Role, bare},
    propagation::is_worth_sending,
    settings::Settings,
    traced::Traced,
};

/// Makes [`HandlerTrace`] services. See the [module docs](self) for an example.
#[derive(Clone, Debug, Default)]
pub struct HandlerTraceLayer {
    settings: Settings,
    methods: Methods,
}

impl HandlerTraceLayer {
    /// OpenTelemetry's names, every format read, no metadata.
    pub fn new() -> Self {
        Self::default()
    }

    /// What spans are called.
    #[must_use]
    pub const fn names(mut self, names: Names) -> Self {
        self.settings.names = names;
        self
    }

    /// The methods that the server has, as `package.Service/Method`. Spans of calls to any other are called `_OTHER`, and tell what was
    /// asked for in `rpc.method_original`: a caller can make up names without end. Without this any path of up to 256 letters is a name.
    #[must_use]
    pub fn methods(mut self, methods: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.methods = Methods::of(methods);
        self
    }

    /// Which formats of the caller's span are read.
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

impl<S> Layer<S> for HandlerTraceLayer {
    type Service = HandlerTrace<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let (settings, methods) = (self.settings.clone(), self.methods.clone());
        ObserveExchange::new(inner, Handlers { settings, methods })
    }
}

/// Makes a span of each call that is handled.
pub type HandlerTrace<S> = ObserveExchange<S, Handlers>;

/// The observer of handlers.
#[derive(Clone, Debug)]
pub struct Handlers {
    settings: Settings,
    methods: Methods,
}

impl Handlers {
    fn span(&self, asked: &str) -> Span {
        let path = self.methods.asked(asked);
        let original = (path != asked).then(|| cut(bare(asked)));
        span!(
            target: attributes::HANDLER,
            Level::INFO,
            "handler",
            otel.name = &*self.settings.names.of(Role::Handler, path, None),
            otel.kind = "server",
            { attributes::SYSTEM } = "grpc",
            { attributes::METHOD } = bare(path),
            { attributes::METHOD_ORIGINAL } = original,
            { attributes::STATUS_CODE } = Empty,
            { attributes::ERROR_TYPE } = Empty,
            otel.status_code = Empty,
            otel.status_description = Empty,
        )
    }
}

impl Observer for Handlers {
    type Watch = Handler;

    fn begin<B: 'static>(&self, request: &mut Request<B>) -> Option<Handler> {
        let span = match is_grpc(request.headers()) {
            true => self.span(request.uri().path()),
            // Plain HTTP beside gRPC is no call. What it serves goes on under its caller, unless somebody outside has seen to that.
            false if Context::map_current(is_worth_sending) => return None,
            false => Span::none(),
        };
        let handler = Handler::under(span.clone(), &self.settings.propagation, request.headers())?;
        if !span.is_disabled() {
            self.settings.record(&span, request.headers());
        }
        Some(handler)
    }
}

/// A handler at work.
#[derive(Debug)]
pub struct Handler {
    traced: Traced,
    /// The caller's context, where the span cannot hold it.
    caller: Option<Context>,
}

impl Handler {
    /// Begins `span` under what `headers` name; `None` if there is nothing to look at and nothing to hand on.
    pub(crate) fn under(
        span: Span,
        propagation: &Propagation,
        headers: &HeaderMap,
    ) -> Option<Self> {
        let caller = propagation.extract_on_current(headers);
        let mut traced = Traced::new(span);
        let hangs = traced.begin_under(caller.as_ref());
        let caller = caller.filter(|_| !hangs);
        let is_seen = !traced.is_disabled() || caller.is_some();
        is_seen.then_some(Self { traced, caller })
    }

    /// Ends it with what `record` writes on its span.
    pub(crate) fn finish(self, record: impl FnOnce(&Span)) {
        self.traced.finish(record);
    }
}

impl Watch for Handler {
    fn within<T>(&mut self, run: impl FnOnce() -> T) -> T {
        self.traced.within(|| {
            let _caller = self.caller.clone().map(Context::attach);
            run()
        })
    }

    fn ended(self, ending: Ending<'_>) {
        let last = Last::of_server(&ending);
        self.finish(|span| last.record(span));
    }
}
