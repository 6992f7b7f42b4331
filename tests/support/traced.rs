//! The whole suite under tracing: with `TOWER_MICRO_TRACED=FILE` clients made by [`builder`] and servers made by [`server`] or [`start`]
//! have a span for each call, attempt and handler. Each span goes to a collector by OTLP, over a socket, and what the collector received
//! is a line of FILE, which `tracing_suite` holds against the table. Every call carries a secret besides, which is a line too wherever a
//! log or an error tells it; and every attempt carries the name of its span, which the handler that it reaches must stand under. Without
//! the variable clients and servers are what they are without us.
//!
//! Not traced are
//! - `tracing_*`, which trace themselves, each in its own way and to a collector of its own;
//! - calls through one layer alone or a stack that a test spells out (`drop_in`, `readiness`, `streams::memory`), and those by tonic's own
//!   channel: nothing in them traces, and that nothing need is what they show. The handlers that they reach are traced, as roots;
//! - peers that are scripts, of answers, frames or bytes: they have no handlers. The calls to them are traced;
//! - the clients of `onion`, which call nobody, and print the layers that they have without us;
//! - one client of `drop_in`, which shows that wrappers whose errors are boxes fit without [`ClientBuilder::erased`]: around what may be
//!   traced or not they do not.

use std::{convert::Infallible, io};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body::Body as HttpBody;
use opentelemetry::trace::TraceContextExt;
use tonic::{body::Body, server::NamedService, service::Routes, transport::Server};
use tower::{
    Layer,
    layer::util::{Identity, Stack},
    util::{Either, MapErrLayer, MapRequestLayer, MapResponseLayer, option_layer},
};
use tower_micro::{
    AttemptTraceLayer, Attempts, Body as Carried, BoxError, CallTraceLayer, Client, Error,
    HandlerTraceLayer, connect::H2, crates::client::ClientBuilder,
};
use tower_micro_testkit::TestServer;
use tower_service::Service;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::record::{CANARY, leak, lines};

/// The header by which an attempt says which span is its own, in a traced suite.
pub(crate) const CAME_FROM: HeaderName = HeaderName::from_static("x-came-from");

type Maybe<L> = Either<L, Identity>;

/// Does something to each request of a client.
type Changes = MapRequestLayer<fn(Request<Carried>) -> Request<Carried>>;

/// Lets each call carry the canary, and looks at what it fails with.
type Carries = (MapErrLayer<fn(Error) -> Error>, Changes);

/// A builder whose calls and attempts are traced, if the suite is.
pub(crate) type Traceable<K> = ClientBuilder<
    Stack<Identity, Maybe<(CallTraceLayer, Carries)>>,
    Stack<Maybe<(AttemptTraceLayer, Changes)>, Identity>,
    K,
>;

/// What a traced handler answers.
type Handled = <<HandlerTraceLayer as Layer<Routes>>::Service as Service<Request<Body>>>::Response;

/// Forgets in the type of the answer that somebody looks on.
type Forgets = MapResponseLayer<fn(Handled) -> Response<Body>>;

/// Traces handlers, if the suite is traced, and changes no type.
pub(crate) type TraceableHandlers = Maybe<(Forgets, HandlerTraceLayer)>;

/// [`Client::builder`], traced if the suite is.
pub(crate) fn builder() -> Traceable<H2> {
    let attempts = || -> (AttemptTraceLayer, Changes) {
        let always = AttemptTraceLayer::new().attempts(Attempts::Always);
        (always, MapRequestLayer::new(signed as _))
    };
    let calls = || -> (CallTraceLayer, Carries) {
        let carries = (
            MapErrLayer::new(looked_at as _),
            MapRequestLayer::new(carrying as _),
        );
        (CallTraceLayer::new(), carries)
    };
    Client::builder()
        .wrap_client(option_layer(is_traced().then(calls)))
        .wrap_call(option_layer(is_traced().then(attempts)))
}

/// The layer of a server's handlers, for servers that have others outside of it.
pub(crate) fn traced_handlers() -> TraceableHandlers {
    let layer = || -> (Forgets, HandlerTraceLayer) {
        let handlers = HandlerTraceLayer::new().record_metadata([CAME_FROM]);
        let forget = |handled: Handled| handled.map(Body::new);
        (MapResponseLayer::new(forget as _), handlers)
    };
    option_layer(is_traced().then(layer))
}

/// [`Server::builder`], traced if the suite is.
pub(crate) fn server() -> Server<Stack<TraceableHandlers, Identity>> {
    Server::builder().layer(traced_handlers())
}

/// [`TestServer::start`], traced if the suite is.
pub(crate) async fn start<S, RB>(id: impl Into<String>, service: S) -> io::Result<TestServer>
where
    S: Service<Request<Body>, Response = Response<RB>, Error = Infallible>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
    RB: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    TestServer::serve(id, server().add_service(service)).await
}

/// Whether the suite is traced.
pub(crate) fn is_traced() -> bool {
    lines().is_some()
}

fn carrying(mut request: Request<Carried>) -> Request<Carried> {
    let canary = HeaderValue::from_static(CANARY);
    request.headers_mut().insert("x-canary", canary);
    request
}

fn signed(mut request: Request<Carried>) -> Request<Carried> {
    let own = Span::current().context();
    let own = own.span().span_context().span_id().to_string();
    let own = own.parse().expect("a span's id is hexadecimal");
    request.headers_mut().insert(CAME_FROM, own);
    request
}

fn looked_at(error: Error) -> Error {
    if let (Some(lines), Some(leak)) = (lines(), leak(&format!("{error} {error:?}"))) {
        lines.write(&leak);
    }
    error
}
