//! The full stack with spans of calls and attempts: without a subscriber, and recorded by OpenTelemetry's SDK.
//!
//! Subscribers are a process's: these cases run apart.

use std::{
    sync::Once,
    task::{self, Poll},
    time::Duration,
};

use ::tracing::{
    Instrument, Level, Subscriber, instrument::Instrumented, span, subscriber::set_global_default,
};
use http::{Request, Response};
use opentelemetry::{Context, trace::TracerProvider};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanProcessor},
};
use tower::Service;
use tower_micro::{AttemptTraceLayer, Attempts, CallTraceLayer, Channel, Error};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::{Layer as _, Registry, filter::LevelFilter, layer::SubscriberExt as _};

use super::onion::{calls, channel, everything};
use crate::{
    calls::Calls,
    case::Case,
    cost::Run,
    goal::Goal,
    mock::{Answer, Mock},
    request::unary,
};

/// What we want calls to cost whose spans are recorded, over the same calls without.
const RECORDED: Goal = Goal::nanoseconds(4_000.0).allocations(25.0);

pub(super) const CASES: &[Case] = &[
    Case::new("traced-off", || calls(|| traced(Attempts::Always)))
        .over("full")
        .goal(Goal::nanoseconds(60.0).allocations(0.0)),
    // The default: one span, for the call.
    Case::new("traced-on-retry", || recorded(|| traced(Attempts::OnRetry)))
        .over("full")
        .goal(RECORDED)
        .apart(),
    // Two spans: for the call, and for its attempt.
    Case::new("traced-always", || recorded(|| traced(Attempts::Always)))
        .over("full")
        .goal(RECORDED)
        .apart(),
    // Not ours: the same two spans by hand, each entered twice, with every value known at once and nothing sent.
    Case::new("spans-alone", || {
        install();
        Box::new(Calls::new(|| ByHand, unary))
    })
    .over("empty")
    .apart(),
];

fn traced(attempts: Attempts) -> Channel {
    let client = everything(Mock::at_once())
        .wrap_client(CallTraceLayer::new())
        .wrap_call(AttemptTraceLayer::new().attempts(attempts));
    channel(client.build())
}

fn recorded(channel: fn() -> Channel) -> Box<dyn Run> {
    install();
    calls(channel)
}

/// Hands every span to `provider`, as docs/observability.md has it.
pub(crate) fn recording(provider: &SdkTracerProvider) -> impl Subscriber + Send + Sync + 'static {
    let record = OpenTelemetryLayer::new(provider.tracer("bench"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false)
        .with_level(false)
        .with_filter(LevelFilter::INFO);
    Registry::default().with(record)
}

/// Records every span of this process, and throws it away when it has ended.
fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let provider = SdkTracerProvider::builder()
            .with_span_processor(Discard)
            .build();
        let installed = set_global_default(recording(&provider));
        installed.expect("nothing else here sets one");
    });
}

/// Takes spans and drops them.
#[derive(Debug)]
struct Discard;

impl SpanProcessor for Discard {
    fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &Context) {}

    fn on_end(&self, _: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Two spans around the mock.
struct ByHand;

impl Service<Request<tonic::body::Body>> for ByHand {
    type Response = Response<tonic::body::Body>;
    type Error = Error;
    type Future = Instrumented<Instrumented<Answer>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        by_hand(request)
    }
}

/// The same attributes as a call and its attempt have when all goes well.
fn by_hand(request: Request<tonic::body::Body>) -> Instrumented<Instrumented<Answer>> {
    let call = span!(
        Level::INFO,
        "call",
        otel.name = "greeter.Greeter/SayHello",
        otel.kind = "client",
        rpc.system.name = "grpc",
        rpc.method = "greeter.Greeter/SayHello",
        server.address = "greeter",
        rpc.response.status_code = "OK",
        tower_micro.node.id = "10.0.0.1:8080",
        network.peer.address = "10.0.0.1",
        network.peer.port = 8080_i64,
    );
    let attempt = span!(
        parent: &call,
        Level::INFO,
        "attempt",
        otel.name = "greeter.Greeter/SayHello attempt",
        otel.kind = "internal",
        tower_micro.attempt = 1_i64,
        rpc.response.status_code = "OK",
        tower_micro.node.id = "10.0.0.1:8080",
        network.peer.address = "10.0.0.1",
        network.peer.port = 8080_i64,
    );
    let answer = Mock::at_once().call(request);
    answer.instrument(attempt).instrument(call)
}
