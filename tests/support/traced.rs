//! The whole suite under tracing: with `TOWER_MICRO_TRACED=FILE` clients made by [`builder`] and servers started by [`start`]
//! have a span for each call, attempt and handler. Each span goes to a collector by OTLP, over a socket, and what the collector received
//! is a line of FILE, which `tracing_suite` holds against the table. Every call carries a secret besides, which is a line too wherever a
//! log or an error tells it. Without the variable clients and servers are what they are without us.

use std::{convert::Infallible, io};

use http::{HeaderValue, Request, Response};
use tonic::{body::Body, server::NamedService, transport::Server};
use tower::{
    layer::util::{Identity, Stack},
    util::{Either, MapErrLayer, MapRequestLayer, option_layer},
};
use tower_micro::{
    AttemptTraceLayer, Attempts, Body as Carried, CallTraceLayer, Client, Error, HandlerTraceLayer,
    connect::H2, crates::client::ClientBuilder,
};
use tower_micro_testkit::TestServer;
use tower_service::Service;

use super::record::{CANARY, leak, lines};

type Maybe<L> = Either<L, Identity>;

/// Lets each call carry the canary, and looks at what it fails with.
type Carries = (
    MapErrLayer<fn(Error) -> Error>,
    MapRequestLayer<fn(Request<Carried>) -> Request<Carried>>,
);

/// A builder whose calls and attempts are traced, if the suite is.
pub(crate) type Traceable<K> = ClientBuilder<
    Stack<Identity, Maybe<(CallTraceLayer, Carries)>>,
    Stack<Maybe<AttemptTraceLayer>, Identity>,
    K,
>;

/// [`Client::builder`], traced if the suite is.
pub(crate) fn builder() -> Traceable<H2> {
    let attempts = || AttemptTraceLayer::new().attempts(Attempts::Always);
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

/// [`TestServer::start`], traced if the suite is.
pub(crate) async fn start<S>(id: impl Into<String>, service: S) -> io::Result<TestServer>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    if !is_traced() {
        return TestServer::start(id, service).await;
    }
    let mut server = Server::builder().layer(HandlerTraceLayer::new());
    TestServer::serve(id, server.add_service(service)).await
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

fn looked_at(error: Error) -> Error {
    if let (Some(lines), Some(leak)) = (lines(), leak(&format!("{error} {error:?}"))) {
        lines.write(&leak);
    }
    error
}
