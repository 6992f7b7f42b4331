//! What nobody asked to be told is told nowhere: secrets in metadata, in the registry, in URLs.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use http_body_util::BodyExt;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use tonic::{Status, metadata::MetadataValue, transport::Server};
use tower::{Layer as _, ServiceExt};
use tower_micro::{
    AttemptMetricsLayer, AttemptTraceLayer, Attempts, CallMetricsLayer, CallOptions,
    CallTraceLayer, Client, HandlerMetricsLayer, HandlerTraceLayer, HttpCallTraceLayer, Metadata,
    Service, Static, crates::metrics::Otel, handlers,
};
use tower_micro_testkit::{Answer, Greeter, TestServer};
use tracing_subscriber::{
    Layer, Registry,
    filter::{LevelFilter, Targets},
    fmt::{MakeWriter, format::FmtSpan},
    layer::SubscriberExt,
};

use crate::{
    support::{greeter, hello, soon},
    tracing_ends::exported,
    tracing_support::recorder,
};

/// Cannot be part of anything else.
const SECRET: &str = "c4n4ry-in-the-mine";

/// All that is printed.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Paper {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Paper {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// A request full of secrets.
fn request() -> tonic::Request<tower_micro_testkit::proto::greeter::HelloRequest> {
    let mut request = hello();
    let metadata = request.metadata_mut();
    for key in [
        "authorization",
        "cookie",
        "x-api-key",
        "baggage",
        "x-tenant",
    ] {
        metadata.insert(key, SECRET.parse().unwrap());
    }
    metadata.insert_bin("token-bin", MetadataValue::from_bytes(SECRET.as_bytes()));
    request
}

// h2 and hyper log the headers they send at TRACE, unless those are marked as sensitive. They are no part of this house; all that is
// ours, or that goes to a collector, is listened to.
fn ours() -> Targets {
    Targets::new()
        .with_default(LevelFilter::TRACE)
        .with_targets(
            ["h2", "hyper", "hyper_util", "tower::", "tonic"]
                .map(|target| (target, LevelFilter::OFF)),
        )
}

#[tokio::test]
async fn secrets_appear_in_no_log_span_number_error_or_debug_text() {
    let (paper, spans) = (Paper::default(), exported());
    let print = tracing_subscriber::fmt::layer().with_writer(paper.clone());
    let print = print.with_span_events(FmtSpan::FULL).with_filter(ours());
    let record = recorder(&spans.1).with_filter(ours());
    let _subscriber =
        tracing::subscriber::set_default(Registry::default().with(record).with(print));
    let numbers = InMemoryMetricExporter::default();
    let meter = SdkMeterProvider::builder()
        .with_periodic_exporter(numbers.clone())
        .build();
    let otel = Arc::new(Otel::new(&meter.meter("tests")));

    let node = Greeter::new("n0");
    let mut server = Server::builder()
        .layer(HandlerTraceLayer::new())
        .layer(HandlerMetricsLayer::new(Arc::clone(&otel)))
        .layer(handlers());
    let server = TestServer::serve("n0", server.add_service(node.service()))
        .await
        .unwrap();
    let mut listed = server.node();
    listed.metadata.insert("password".into(), SECRET.into());
    let service = Service::new("greeter", "latest").with_node(listed);
    let mut metadata = Metadata::new();
    metadata.insert("x-secret", SECRET).unwrap();
    let client = Client::builder()
        .registry(Static::new([service]))
        .options(CallOptions::new().idempotent(true).metadata(metadata))
        .wrap_client((
            CallTraceLayer::new(),
            CallMetricsLayer::new(Arc::clone(&otel)),
        ))
        .wrap_call((
            AttemptTraceLayer::new().attempts(Attempts::Always),
            AttemptMetricsLayer::new(otel),
        ))
        .build()
        .unwrap();

    let mut told = Vec::new();
    for answer in [
        Answer::Hello,
        Answer::Fail(Status::unavailable("busy")),
        Answer::Never,
    ] {
        node.answer(answer);
        let mut request = request();
        request.set_timeout(std::time::Duration::from_millis(200));
        let answer = soon(greeter(&client).say_hello(request)).await;
        if let Err(error) = answer {
            told.push(format!("{error} {error:?}"));
        }
    }
    server.kill();
    told.push(format!(
        "{:?}",
        soon(greeter(&client).say_hello(request()))
            .await
            .unwrap_err()
    ));
    told.push(format!("{client:?} {:?}", client.channel("greeter")));
    let site = axum::Router::<()>::new().into_service::<axum::body::Body>();
    let get = http::Request::get(format!("https://ada:{SECRET}@example.com/?key={SECRET}"));
    let get = get
        .header("authorization", SECRET)
        .body(axum::body::Body::empty())
        .unwrap();
    let answer = HttpCallTraceLayer::new()
        .layer(site)
        .oneshot(get)
        .await
        .unwrap();
    let _ = answer.into_body().collect().await;

    meter.force_flush().unwrap();
    let texts = [
        paper.text(),
        format!("{:?}", spans.0.get_finished_spans().unwrap()),
        format!("{:?}", numbers.get_finished_metrics().unwrap()),
        told.join("\n"),
    ];
    for text in &texts {
        assert!(text.len() > 200, "something was told: {text}");
        let found = text
            .find(SECRET)
            .map(|at| &text[at.saturating_sub(200)..at + 40]);
        assert_eq!(found, None);
    }
}
