//! The whole suite under tracing: with `TOWER_MICRO_TRACED=FILE` clients made by [`builder`] and servers started by [`start`] have a span
//! for each call, attempt and handler, and each span that has ended is a line of FILE. `tracing_suite` holds the file against the table.
//! Without the variable both are what they are without us.

use std::{
    convert::Infallible,
    fs::{File, OpenOptions},
    io::{self, Write},
    path::PathBuf,
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use http::{Request, Response};
use opentelemetry::Context;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanProcessor},
};
use tonic::{body::Body, server::NamedService, transport::Server};
use tower::{
    layer::util::{Identity, Stack},
    util::{Either, option_layer},
};
use tower_micro::{
    AttemptTraceLayer, Attempts, CallTraceLayer, Client, HandlerTraceLayer, connect::H2,
    crates::client::ClientBuilder,
};
use tower_micro_testkit::TestServer;
use tower_service::Service;
use tracing_subscriber::{Layer, Registry, filter::LevelFilter, layer::SubscriberExt};

use crate::tracing_support::{Seen, recorder};

/// Where the spans go.
pub(crate) const FILE: &str = "TOWER_MICRO_TRACED";

type Maybe<L> = Either<L, Identity>;

/// A builder whose calls and attempts are traced, if the suite is.
pub(crate) type Traceable<K> = ClientBuilder<
    Stack<Identity, Maybe<CallTraceLayer>>,
    Stack<Maybe<AttemptTraceLayer>, Identity>,
    K,
>;

/// [`Client::builder`], traced if the suite is.
pub(crate) fn builder() -> Traceable<H2> {
    let attempts = || AttemptTraceLayer::new().attempts(Attempts::Always);
    Client::builder()
        .wrap_client(option_layer(is_traced().then(CallTraceLayer::new)))
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
    static TRACED: OnceLock<bool> = OnceLock::new();
    *TRACED.get_or_init(|| {
        let Some(file) = std::env::var_os(FILE) else {
            return false;
        };
        let file = PathBuf::from(file);
        let file = OpenOptions::new().create(true).append(true).open(file);
        install(file.expect("the file of spans can be written"));
        true
    })
}

fn install(file: File) {
    let lines = Lines(Mutex::new(file));
    let provider = SdkTracerProvider::builder().with_span_processor(lines);
    let record = recorder(&provider.build()).with_filter(LevelFilter::INFO);
    tracing::subscriber::set_global_default(Registry::default().with(record))
        .expect("no test sets one for all");
}

/// Writes each span as it ends: nobody flushes a process of tests.
#[derive(Debug)]
struct Lines(Mutex<File>);

impl SpanProcessor for Lines {
    fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        let line = Seen::ended(span).to_line() + "\n";
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file.write_all(line.as_bytes());
        written.expect("the file of spans can be written");
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
