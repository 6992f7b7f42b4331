//! What goes over the wire: every format, filtered spans, samplers, and what go-micro was recorded sending.

use std::sync::Mutex;

use http::HeaderMap;
use opentelemetry::{Context, baggage::BaggageExt, context::FutureExt, trace::TraceContextExt};
use opentelemetry_sdk::trace::Sampler;
use tonic::transport::Server;
use tower_micro::{
    AttemptTraceLayer, Attempts, Body, CallOptions, CallTraceLayer, Client, Format,
    HandlerTraceLayer, Propagation, Static,
};
use tower_micro_testkit::{Answer, Greeter, TestServer};
use tracing::Instrument;
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
};

use crate::{
    documents::read,
    support::{Recording, call, failing, greeting, number_of, scripted},
    tracing_shape::Traced,
    tracing_support::Telescope,
    tracing_table::tree,
};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A context that a caller far away has sent.
fn remote(parent: &str) -> Context {
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", parent.parse().unwrap());
    Propagation::new()
        .extract_headers(&Context::new(), &headers)
        .unwrap()
}

/// What each attempt of one call sends; the first one fails.
async fn sent(layer: CallTraceLayer, attempts: Option<AttemptTraceLayer>) -> Vec<HeaderMap> {
    let seen: &'static Mutex<Vec<HeaderMap>> = Box::leak(Box::default());
    let script = move |request: http::Request<Body>| async move {
        seen.lock().unwrap().push(request.headers().clone());
        Ok(match number_of(&request) {
            0 => failing(tonic::Status::unavailable("busy")),
            _ => greeting("n1"),
        })
    };
    let client = scripted(&Recording::of(2), script)
        .options(CallOptions::new().idempotent(true))
        .wrap_client(layer);
    match attempts {
        Some(attempts) => call(&client.wrap_call(attempts).build().unwrap()).await,
        None => call(&client.build().unwrap()).await,
    }
    .unwrap();
    seen.lock().unwrap().clone()
}

fn parent_of(headers: &HeaderMap) -> (String, String) {
    let cx = Propagation::new()
        .extract_headers(&Context::new(), headers)
        .expect("a parent");
    let span = cx.span().span_context().clone();
    (span.trace_id().to_string(), span.span_id().to_string())
}

#[tokio::test]
async fn each_attempt_sends_its_own_span_and_nothing_of_the_one_before() {
    let telescope = Telescope::new();
    let attempts = AttemptTraceLayer::new().attempts(Attempts::Always);
    let sent = sent(CallTraceLayer::new(), Some(attempts)).await;
    let seen = telescope.seen();
    tree(&seen);
    assert_eq!(sent.len(), 2);
    for (headers, attempt) in sent.iter().zip(&seen[1..]) {
        assert_eq!(headers.get_all("traceparent").iter().count(), 1);
        assert_eq!(
            parent_of(headers),
            (attempt.trace.clone(), attempt.id.clone())
        );
    }
}

#[tokio::test]
async fn in_every_format_a_server_hangs_under_its_caller() {
    for format in Format::ALL {
        let telescope = Telescope::new();
        let propagation = Propagation::none().inject([format]).extract([format]);
        let fleet =
            Traced::with(1, HandlerTraceLayer::new().propagation(propagation.clone())).await;
        let attempts = AttemptTraceLayer::new().attempts(Attempts::Always);
        let client = Client::builder()
            .registry(fleet.registry())
            .wrap_client(CallTraceLayer::new().propagation(propagation.clone()))
            .wrap_call(attempts.propagation(propagation));
        call(&client.build().unwrap()).await.unwrap();
        assert_eq!(
            tree(&telescope.until(3).await).matches("SERVER").count(),
            1,
            "{format:?}"
        );
    }
}

#[tokio::test]
async fn a_span_that_is_filtered_out_sends_on_what_it_stands_in() {
    for level in [LevelFilter::OFF, LevelFilter::ERROR, LevelFilter::WARN] {
        let telescope = Telescope::filtered(level);
        let attempts = AttemptTraceLayer::new().attempts(Attempts::Always);
        let inside = sent(CallTraceLayer::new(), Some(attempts)).with_context(remote(PARENT));
        for headers in inside.await {
            assert_eq!(headers["traceparent"], PARENT);
        }
        assert!(telescope.seen().is_empty());
    }
}

#[tokio::test]
async fn an_attempt_layer_alone_sends_the_context_too() {
    let inside = async {
        let client = scripted(&Recording::of(1), |request| async move {
            assert_eq!(request.headers()["traceparent"], PARENT);
            Ok(greeting("n0"))
        });
        call(&client.wrap_call(AttemptTraceLayer::new()).build().unwrap()).await
    };
    inside.with_context(remote(PARENT)).await.unwrap();
}

#[tokio::test]
async fn without_a_subscriber_the_context_is_sent_all_the_same() {
    let inside = sent(CallTraceLayer::new(), Some(AttemptTraceLayer::new()));
    for headers in inside.with_context(remote(PARENT)).await {
        assert_eq!(headers["traceparent"], PARENT);
    }
    for headers in sent(CallTraceLayer::new(), None).await {
        assert!(!headers.contains_key("traceparent"));
    }
}

#[tokio::test]
async fn spans_of_handlers_that_are_filtered_out_do_not_cut_the_chain() {
    let no_handlers = Targets::new()
        .with_default(LevelFilter::INFO)
        .with_target("tower_micro::handler", LevelFilter::OFF);
    let telescope = Telescope::filtered(no_handlers);
    let fleet = Traced::of(1).await;
    let front = crate::tracing_chain::front(&fleet).await;
    call(&front.1).await.unwrap();
    let expected = "\
greeter.Greeter/SayHello CLIENT OK
  greeter.Greeter/SayHello CLIENT OK
";
    assert_eq!(tree(&telescope.until(2).await), expected);
}

// A subscriber that prints, and has no OpenTelemetry layer.
#[tokio::test]
async fn a_subscriber_without_opentelemetry_sends_the_context_on() {
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
    let subscriber = tracing_subscriber::layer::SubscriberExt::with(
        tracing_subscriber::registry(),
        layer.with_filter(LevelFilter::INFO),
    );
    let _subscriber = tracing::subscriber::set_default(subscriber);
    let attempts = AttemptTraceLayer::new().attempts(Attempts::Always);
    let inside = sent(CallTraceLayer::new(), Some(attempts)).with_context(remote(PARENT));
    for headers in inside.await {
        assert_eq!(headers["traceparent"], PARENT);
    }
}

#[tokio::test]
async fn what_the_sampler_refuses_is_sent_as_refused_and_recorded_nowhere() {
    let refuse =
        |layer: crate::tracing_support::Recorder| layer.with_filter(LevelFilter::INFO).boxed();
    let telescope = Telescope::sampling(Sampler::AlwaysOff, refuse);
    let fleet = Traced::of(1).await;
    call(&fleet.client(Attempts::Always)).await.unwrap();
    let sent = sent(CallTraceLayer::new(), None).await;
    assert!(
        sent[0]["traceparent"].to_str().unwrap().ends_with("-00"),
        "{sent:?}"
    );
    assert!(telescope.seen().is_empty());
}

#[tokio::test]
async fn a_caller_that_was_not_sampled_is_followed() {
    let refused = PARENT.replace("-01", "-00");
    let telescope = Telescope::new();
    let sent = sent(CallTraceLayer::new(), None)
        .with_context(remote(&refused))
        .await;
    let sent = sent[0]["traceparent"].to_str().unwrap();
    assert!(sent.contains(TRACE) && sent.ends_with("-00"), "{sent}");
    assert!(telescope.seen().is_empty());
}

#[tokio::test]
async fn baggage_goes_with_a_call_if_it_is_named() {
    let telescope = Telescope::new();
    let cx = Context::current().with_baggage([
        opentelemetry::KeyValue::new("tenant", "blue"),
        opentelemetry::KeyValue::new("password", "hunter2"),
    ]);
    let layer = CallTraceLayer::new().propagation(Propagation::new().baggage(["tenant"]));
    let sent = sent(layer, None).with_context(cx).await;
    assert_eq!(sent[0]["baggage"], "tenant=blue");
    drop(telescope);
}

#[tokio::test]
async fn metadata_is_recorded_if_it_is_named_and_not_otherwise() {
    let telescope = Telescope::new();
    let tenant = http::HeaderName::from_static("x-tenant");
    let layer = HandlerTraceLayer::new().record_metadata([tenant.clone()]);
    let fleet = Traced::with(1, layer).await;
    let client = Client::builder()
        .registry(fleet.registry())
        .wrap_client(CallTraceLayer::new().record_metadata([tenant]));
    let mut request = crate::support::hello();
    request
        .metadata_mut()
        .insert("x-tenant", "blue".parse().unwrap());
    request
        .metadata_mut()
        .insert("authorization", "hunter2".parse().unwrap());
    crate::support::greeter(&client.build().unwrap())
        .say_hello(request)
        .await
        .unwrap();
    let seen = telescope.until(2).await;
    tree(&seen);
    assert!(
        seen.iter()
            .all(|span| span.get("rpc.request.metadata.x-tenant").contains("blue"))
    );
    assert!(!format!("{seen:?}").contains("hunter2"));
}

/// The requests of one version of go-micro, as a bare HTTP/2 server saw them.
fn recorded() -> Vec<HeaderMap> {
    let recorded =
        serde_json::from_str::<serde_json::Value>(&read("tests/traces/wire-headers.json")).unwrap();
    let versions = recorded.as_object().unwrap().values();
    let requests = versions.flat_map(|version| version.as_object().unwrap().values());
    requests
        .map(|headers| {
            let pairs = headers.as_object().unwrap().iter();
            let pair = |(name, values): (&String, &serde_json::Value)| {
                let name: http::HeaderName = name.parse().unwrap();
                let values = values.as_array().unwrap().iter();
                let values = values.map(|value| value.as_str().unwrap().parse().unwrap());
                values
                    .map(|value: http::HeaderValue| (name.clone(), value))
                    .collect::<Vec<_>>()
            };
            pairs.flat_map(pair).collect()
        })
        .collect()
}

// go-micro v2 sends a Micro-Trace-Id of its own, which is a UUID and no parent of ours.
#[tokio::test]
async fn what_go_micro_sends_is_handled_as_a_trace_of_its_own() {
    let recorded = recorded();
    assert!(recorded.len() > 20);
    assert!(
        recorded
            .iter()
            .any(|headers| headers.contains_key("micro-trace-id"))
    );
    for headers in recorded {
        assert!(
            Propagation::new()
                .extract_headers(&Context::new(), &headers)
                .is_none(),
            "{headers:?}"
        );
        for format in [Format::B3Multi, Format::Jaeger, Format::W3c] {
            let mut traced = headers.clone();
            let propagation = Propagation::new().inject([format]);
            propagation.inject_headers(&remote(PARENT), &mut traced);
            assert_eq!(parent_of(&traced).0, TRACE);
            assert!(headers.keys().all(|name| traced.contains_key(name)));
        }
    }
}

#[tokio::test]
async fn a_call_begun_under_a_span_of_the_program_is_part_of_its_trace() {
    let telescope = Telescope::new();
    let greeter = Greeter::new("n0");
    greeter.answer(Answer::Hello);
    let router = Server::builder()
        .layer(HandlerTraceLayer::new())
        .add_service(greeter.service());
    let server = TestServer::serve("n0", router).await.unwrap();
    let registry = Static::addresses("greeter", [server.address().to_string()]).unwrap();
    let client = Client::builder()
        .registry(registry)
        .wrap_client(CallTraceLayer::new());
    call(&client.build().unwrap())
        .instrument(tracing::info_span!("job"))
        .await
        .unwrap();
    let expected = "\
job INTERNAL
  greeter.Greeter/SayHello CLIENT OK
    greeter.Greeter/SayHello SERVER OK
";
    assert_eq!(tree(&telescope.until(3).await), expected);
}
