//! Spans end with their calls, once, however those end.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{future, stream};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use opentelemetry::trace::Status as SpanStatus;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use tokio::time::advance;
use tonic::Status;
use tower_micro::{
    AttemptTraceLayer, Attempts, CallOptions, CallTraceLayer, Client, HandlerTraceLayer,
    HttpCallTraceLayer, HttpHandlerTraceLayer,
};
use tracing::{Span, subscriber::DefaultGuard};
use tracing_subscriber::{Layer, Registry, filter::LevelFilter, layer::SubscriberExt};

use crate::{
    support::{
        Recording, STEP, failing, greeter, greeting_until, hello, number_of, persistent, scripted,
        soon, third_time_lucky,
    },
    tracing_support::recorder,
};

/// Spans that are kept in this process as they end, and who keeps them.
pub(crate) fn exported() -> (InMemorySpanExporter, SdkTracerProvider) {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone());
    (exporter, provider.build())
}

/// The same for tests in which time stands still.
pub(crate) struct Kept {
    exporter: InMemorySpanExporter,
    _subscriber: DefaultGuard,
}

impl Kept {
    pub(crate) fn new() -> Self {
        let (exporter, provider) = exported();
        let layer = recorder(&provider).with_filter(LevelFilter::INFO);
        let subscriber = tracing::subscriber::set_default(Registry::default().with(layer));
        Self {
            exporter,
            _subscriber: subscriber,
        }
    }

    pub(crate) fn spans(&self) -> Vec<SpanData> {
        self.exporter.get_finished_spans().unwrap()
    }
}

fn attribute(span: &SpanData, key: &str) -> String {
    let mut pairs = span.attributes.iter();
    let pair = pairs.find(|pair| pair.key.as_str() == key);
    pair.map_or_else(String::new, |pair| pair.value.to_string())
}

/// Two attempts fail and the third succeeds; a backoff, an attempt and the end of the answer take a step each.
fn slow() -> Client {
    scripted(&Recording::of(3), third_time_lucky)
        .options(persistent())
        .wrap_client(CallTraceLayer::new())
        .wrap_call(AttemptTraceLayer::new().attempts(Attempts::Always))
        .build()
        .unwrap()
}

/// Every span ended once; what was under way was cancelled, what had ended before was not.
fn check(spans: &[SpanData], over: bool) {
    let mut ids = BTreeMap::<_, u32>::new();
    for span in spans {
        *ids.entry(span.span_context.span_id().to_string())
            .or_default() += 1;
    }
    assert!(ids.values().all(|ends| *ends == 1), "{spans:#?}");
    let status = |span: &SpanData| attribute(span, "rpc.response.status_code");
    let (calls, attempts): (Vec<_>, Vec<_>) = spans
        .iter()
        .partition(|span| attribute(span, "tower_micro.attempt").is_empty());
    assert_eq!(calls.len(), 1, "{spans:#?}");
    assert_eq!(status(calls[0]), if over { "OK" } else { "CANCELLED" });
    let is_unset = calls[0].status == SpanStatus::Unset;
    assert_eq!(is_unset, over);
    for (number, attempt) in attempts.iter().enumerate() {
        let own = ["UNAVAILABLE", "UNAVAILABLE", "OK"][number];
        let last = number + 1 == attempts.len();
        let status = status(attempt);
        assert!(
            status == own || (last && !over && status == "CANCELLED"),
            "{attempts:#?}"
        );
        assert!(attempt.parent_span_id == calls[0].span_context.span_id());
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_at_any_moment_ends_each_span_once_as_cancelled() {
    for polls in 1.. {
        let (kept, client) = (Kept::new(), slow());
        let mut stub = greeter(&client);
        let mut call = tokio_test::task::spawn(stub.say_hello(hello()));
        let mut over = false;
        for _ in 0..polls {
            over = call.poll().is_ready();
            if over {
                break;
            }
            advance(STEP / 2).await;
        }
        drop(call);
        check(&kept.spans(), over);
        if over {
            assert!(polls > 12, "all steps were seen, not only {polls}");
            return;
        }
    }
}

// Whether anybody looks on or not.
#[tokio::test]
async fn the_layers_use_what_they_wrap_as_tower_asks() {
    use tower::{Layer as _, Service as _};
    use tower_micro_testkit::Probe;

    async fn reserved<S>(service: S) -> S
    where
        S: tower::Service<http::Request<tower_micro::Body>, Error = tower_micro::Error>,
    {
        tower::ServiceExt::ready_oneshot(service).await.unwrap()
    }
    fn check<T: Send + Sync + Clone + 'static>(_: &T) {}

    let layers = (
        CallTraceLayer::new(),
        AttemptTraceLayer::new().attempts(Attempts::Always),
    );
    for kept in [None, Some(Kept::new())] {
        let probe = Probe::slow(2);
        let outstanding = probe.outstanding();
        let mut service = layers.layer(probe);
        for _ in 0..2 {
            let request = http::Request::new(tower_micro::Body::default());
            service = reserved(service).await;
            service.call(request).await.unwrap();
        }
        drop(reserved(service).await);
        assert_eq!(outstanding.load(std::sync::atomic::Ordering::SeqCst), 0);
        drop(kept);
    }
    check(&layers.layer(Probe::new()));
    check(&(HandlerTraceLayer::new(), HttpCallTraceLayer::new()).layer(Probe::new()));
}

/// Lets one request through `layer`, to a service that keeps a handle of the span it runs in, as a task that it spawns would; it answers
/// 500 and breaks off.
async fn broken_within<L, B>(layer: L) -> Span
where
    L: tower::Layer<Held>,
    L::Service: tower::Service<http::Request<Full<Bytes>>, Response = http::Response<B>>,
    <L::Service as tower::Service<http::Request<Full<Bytes>>>>::Error: std::fmt::Debug,
    B: http_body::Body,
{
    let (held, mut holds) = tokio::sync::mpsc::unbounded_channel();
    let answer = move |_| {
        held.send(Span::current()).unwrap();
        let breaks = stream::iter([Err(std::io::Error::other("torn"))]);
        let answer = http::Response::builder().status(500);
        future::ready(Ok(answer.body(Broken::new(breaks)).unwrap()))
    };
    let service = layer.layer(tower::service_fn(Box::new(answer)));
    let request = http::Request::builder().header("content-type", "application/grpc");
    let request = request.body(Full::default()).unwrap();
    let answer = tower::ServiceExt::oneshot(service, request);
    let body = soon(answer).await.unwrap().into_body();
    assert!(soon(body.collect()).await.is_err());
    holds.recv().await.unwrap()
}

type Broken =
    StreamBody<stream::Iter<std::array::IntoIter<Result<Frame<Bytes>, std::io::Error>, 1>>>;
type Answered = future::Ready<Result<http::Response<Broken>, std::convert::Infallible>>;
type Held = tower::util::ServiceFn<Box<dyn FnMut(http::Request<Full<Bytes>>) -> Answered + Send>>;

#[tokio::test]
async fn spans_of_exchanges_end_with_them_and_say_once_why_though_somebody_holds_them() {
    let kept = Kept::new();
    let held = [
        broken_within(HandlerTraceLayer::new()).await,
        broken_within(HttpHandlerTraceLayer::new()).await,
        broken_within(HttpCallTraceLayer::new()).await,
    ];
    let spans = kept.spans();
    assert_eq!(spans.len(), held.len());
    for (span, why) in spans.iter().zip(["std::io::error::Error", "500", "500"]) {
        let said = span
            .attributes
            .iter()
            .filter(|pair| pair.key.as_str() == "error.type");
        let said: Vec<_> = said.map(|pair| pair.value.to_string()).collect();
        assert_eq!(said, [why], "{span:#?}");
        assert!(matches!(span.status, SpanStatus::Error { .. }));
    }
    drop(held);
    assert_eq!(kept.spans().len(), spans.len());
}

// A span ends when it is left for the last time, which without care is when the headers have come.
#[tokio::test]
async fn a_span_is_as_long_as_its_call() {
    let kept = Kept::new();
    let trailers = std::sync::Arc::new(tokio::sync::Notify::new());
    let gate = std::sync::Arc::clone(&trailers);
    let client = scripted(&Recording::of(1), move |_| {
        let gate = std::sync::Arc::clone(&gate);
        future::ready(Ok(greeting_until("n0", async move {
            gate.notified().await;
            [("grpc-status", "0")]
        })))
    });
    let client = client
        .wrap_client(CallTraceLayer::new())
        .wrap_call(AttemptTraceLayer::new().attempts(Attempts::Always))
        .build()
        .unwrap();
    let mut stub = greeter(&client);
    let mut call = tokio_test::task::spawn(stub.say_hello(hello()));
    assert!(call.poll().is_pending(), "the headers are here");
    let later = std::time::SystemTime::now();
    trailers.notify_one();
    soon(call).await.unwrap();
    let spans = kept.spans();
    assert_eq!(spans.len(), 2);
    assert!(spans.iter().all(|span| span.end_time >= later));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_never_polled_makes_no_span() {
    let (kept, client) = (Kept::new(), slow());
    let mut stub = greeter(&client);
    drop(stub.say_hello(hello()));
    assert!(kept.spans().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_wrapper_that_panics_ends_the_spans_outside_of_it() {
    let kept = Kept::new();
    let panics = |_: tower_micro::Context, _, _: tower_micro::Next| async { panic!("oh no") };
    let client = scripted(&Recording::of(1), |_| async {
        unreachable!("nothing is sent")
    })
    .wrap_client(CallTraceLayer::new())
    .wrap_call(tower_micro::from_fn(panics));
    soon(greeter(&client.build().unwrap()).say_hello(hello()))
        .await
        .unwrap_err();
    let spans = kept.spans();
    assert_eq!(spans.len(), 1);
    assert_eq!(attribute(&spans[0], "rpc.response.status_code"), "INTERNAL");
    assert_eq!(attribute(&spans[0], "error.type"), "panic");
}

#[tokio::test(start_paused = true)]
async fn an_error_event_of_a_users_own_in_a_recovered_attempt_stays_there() {
    let kept = Kept::new();
    let complain = |_: tower_micro::Context, request, next: tower_micro::Next| async move {
        let answer = next.run(request).await;
        if answer.is_err() {
            tracing::error!("this one failed");
        }
        answer
    };
    let client = scripted(&Recording::of(2), |request| async move {
        Ok(match number_of(&request) {
            0 => failing(Status::unavailable("busy")),
            _ => greeting_until("n1", async { [("grpc-status", "0")] }),
        })
    });
    let attempts = AttemptTraceLayer::new().attempts(Attempts::Always);
    let client = client
        .options(CallOptions::new().idempotent(true))
        .wrap_client(CallTraceLayer::new())
        .wrap_call((attempts, tower_micro::from_fn(complain)));
    soon(greeter(&client.build().unwrap()).say_hello(hello()))
        .await
        .unwrap();
    let spans = kept.spans();
    let call = spans
        .iter()
        .find(|span| attribute(span, "tower_micro.attempt").is_empty());
    assert_eq!(call.unwrap().status, SpanStatus::Unset);
}
