//! The whole suite under tracing: with `TOWER_MICRO_TRACED=FILE` clients made by [`builder`] and servers started by [`start`] have a span
//! for each call, attempt and handler, and each span that has ended is a line of FILE. `tracing_suite` holds the file against the table.
//! Every call carries a secret besides, which is a line too wherever a log or an error tells it. Without the variable clients and
//! servers are what they are without us.

use std::{
    convert::Infallible,
    fs::{File, OpenOptions},
    io::{self, Write},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use http::{HeaderValue, Request, Response};
use opentelemetry::Context;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanProcessor},
};
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
use tracing_subscriber::{
    Layer, Registry,
    filter::{LevelFilter, Targets},
    fmt::{MakeWriter, format::FmtSpan},
    layer::SubscriberExt,
};

use crate::tracing_support::{Seen, recorder};

/// Where the spans go.
pub(crate) const FILE: &str = "TOWER_MICRO_TRACED";

/// What every call of a traced suite carries, and nobody may tell.
pub(crate) const CANARY: &str = "c4n4ry-of-the-suite";

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

/// The file, if the suite is traced.
fn lines() -> Option<Lines> {
    static LINES: OnceLock<Option<Lines>> = OnceLock::new();
    LINES
        .get_or_init(|| {
            let file = std::env::var_os(FILE)?;
            let file = OpenOptions::new().create(true).append(true).open(file);
            let file = file.expect("the file of spans can be written");
            let lines = Lines(Arc::new(Mutex::new(file)));
            install(&lines);
            Some(lines)
        })
        .clone()
}

fn install(lines: &Lines) {
    let provider = SdkTracerProvider::builder().with_span_processor(lines.clone());
    let record = recorder(&provider.build()).with_filter(LevelFilter::INFO);
    // What the transport logs is a flood; `tracing_secrets` looks through it for one scene.
    let ours = ["h2", "hyper", "hyper_util"].map(|target| (target, LevelFilter::OFF));
    let ours = Targets::new()
        .with_default(LevelFilter::TRACE)
        .with_targets(ours);
    let print = tracing_subscriber::fmt::layer().with_writer(lines.clone());
    let print = print.with_span_events(FmtSpan::CLOSE).with_filter(ours);
    let listeners = Registry::default().with(record).with(print);
    tracing::subscriber::set_global_default(listeners).expect("no test sets one for all");
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

/// `text` as a line, if it tells the canary.
pub(crate) fn leak(text: &str) -> Option<String> {
    text.contains(CANARY).then(|| format!("told: {text:?}"))
}

/// Writes each span as it ends, and each log that tells the canary: nobody flushes a process of tests.
#[derive(Clone, Debug)]
struct Lines(Arc<Mutex<File>>);

impl Lines {
    fn write(&self, line: &str) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file.write_all(format!("{line}\n").as_bytes());
        written.expect("the file of spans can be written");
    }
}

/// Logs come one at a time.
impl Write for Lines {
    fn write(&mut self, log: &[u8]) -> io::Result<usize> {
        if let Some(leak) = leak(&String::from_utf8_lossy(log)) {
            Self::write(self, &leak);
        }
        Ok(log.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl SpanProcessor for Lines {
    fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        Self::write(self, &Seen::ended(span).to_line());
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
