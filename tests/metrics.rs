//! What is counted: calls, attempts and handlers, under few names.

mod ledger;

use std::{collections::BTreeMap, convert::Infallible, future::ready, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use opentelemetry::{KeyValue, metrics::MeterProvider};
use opentelemetry_sdk::metrics::{
    InMemoryMetricExporter, SdkMeterProvider,
    data::{
        AggregatedMetrics, HistogramDataPoint, Metric, MetricData, ResourceMetrics, ScopeMetrics,
    },
};
use tonic::{Status, transport::Server};
use tower::{Layer, Service, service_fn};
use tower_micro::{
    AttemptMetricsLayer, BoxError, CallMetricsLayer, CallOptions, Client, Error,
    HandlerMetricsLayer,
    crates::metrics::{Facade, Methods, Names, Otel},
};
use tower_micro_testkit::{Answer, Greeter, TestServer};

use self::ledger::Ledger;
use crate::support::{
    Bare, Recording, call, failing, greeter, greeting, greeting_until, hello, number_of, plain,
    scripted, soon, traced_handlers,
};

/// What is kept of one series: how often it was added to, and the sum.
type Series = BTreeMap<String, (i64, f64)>;

/// Instruments that a test can read.
struct Meter {
    provider: SdkMeterProvider,
    exporter: InMemoryMetricExporter,
}

impl Meter {
    fn new() -> Self {
        let exporter = InMemoryMetricExporter::default();
        let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone());
        Self {
            provider: provider.build(),
            exporter,
        }
    }

    fn otel(&self, names: Names) -> Arc<Otel> {
        Arc::new(Otel::named(names, &self.provider.meter("tests")))
    }

    fn look<T>(&self, at: impl Fn(&Metric) -> Vec<T>) -> Vec<T> {
        self.exporter.reset();
        self.provider.force_flush().unwrap();
        let finished = self.exporter.get_finished_metrics().unwrap();
        let scopes = finished.iter().flat_map(ResourceMetrics::scope_metrics);
        scopes
            .flat_map(ScopeMetrics::metrics)
            .flat_map(at)
            .collect()
    }

    /// All series by `name{attributes}`.
    fn series(&self) -> Series {
        self.look(points).into_iter().collect()
    }

    /// The boundaries of the histograms of seconds.
    fn bounds(&self) -> BTreeMap<String, Vec<f64>> {
        let bounds = self.look(|metric| match metric.data() {
            AggregatedMetrics::F64(MetricData::Histogram(data)) => {
                let of = |point: &HistogramDataPoint<f64>| point.bounds().collect::<Vec<_>>();
                let name = metric.name().to_owned();
                data.data_points()
                    .map(|point| (name.clone(), of(point)))
                    .collect()
            }
            _ => Vec::new(),
        });
        bounds.into_iter().collect()
    }
}

fn points(metric: &Metric) -> Vec<(String, (i64, f64))> {
    let name = format!("{}[{}]", metric.name(), metric.unit());
    match metric.data() {
        AggregatedMetrics::F64(MetricData::Histogram(data)) => {
            let points = data.data_points();
            points
                .map(|point| {
                    (
                        named(&name, point.attributes()),
                        (point.count() as i64, point.sum()),
                    )
                })
                .collect()
        }
        AggregatedMetrics::U64(MetricData::Histogram(data)) => {
            let points = data.data_points();
            points
                .map(|point| {
                    (
                        named(&name, point.attributes()),
                        (point.count() as i64, point.sum() as f64),
                    )
                })
                .collect()
        }
        AggregatedMetrics::U64(MetricData::Sum(data)) => {
            let points = data.data_points();
            points
                .map(|point| {
                    (
                        named(&name, point.attributes()),
                        (point.value() as i64, 0.0),
                    )
                })
                .collect()
        }
        AggregatedMetrics::I64(MetricData::Sum(data)) => {
            let points = data.data_points();
            points
                .map(|point| (named(&name, point.attributes()), (point.value(), 0.0)))
                .collect()
        }
        other => panic!("{name}: {other:?}"),
    }
}

fn named<'a>(name: &str, attributes: impl Iterator<Item = &'a KeyValue>) -> String {
    let pairs = attributes.map(|pair| format!("{}={}", pair.key, pair.value));
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort();
    format!("{name}{{{}}}", pairs.join(","))
}

/// How often each series was added to.
fn counts(series: &Series) -> Vec<String> {
    let line = |(name, (count, _)): (&String, &(i64, f64))| format!("{name} {count}");
    series.iter().map(line).collect()
}

/// Every first attempt fails.
fn stumbling(nodes: usize) -> Bare {
    let client = scripted(&Recording::of(nodes), |request| async move {
        Ok(match number_of(&request) {
            0 => failing(Status::unavailable("busy")),
            _ => greeting("n1"),
        })
    });
    client.options(CallOptions::new().idempotent(true))
}

fn measured(client: Bare, otel: Arc<Otel>) -> Client {
    let (calls, attempts) = (
        CallMetricsLayer::new(Arc::clone(&otel)),
        AttemptMetricsLayer::new(otel),
    );
    client
        .wrap_client(calls)
        .wrap_call(attempts)
        .build()
        .unwrap()
}

#[tokio::test]
async fn calls_attempts_and_retries_are_counted_each_by_itself() {
    let meter = Meter::new();
    let client = measured(stumbling(2), meter.otel(Names::Otel));
    for _ in 0..3 {
        call(&client).await.unwrap();
    }
    let of = "rpc.method=greeter.Greeter/SayHello";
    let (status, to) = (
        "rpc.response.status_code",
        "rpc.system.name=grpc,server.address=greeter",
    );
    let series = meter.series();
    let expected = [
        format!("rpc.client.call.duration[s]{{{of},{status}=OK,{to}}} 3"),
        format!("tower_micro.client.active_calls[{{call}}]{{{of},{to}}} 0"),
        format!("tower_micro.client.attempt.duration[s]{{{of},{status}=OK,{to}}} 3"),
        format!(
            "tower_micro.client.attempt.duration[s]{{{of},{status}=UNAVAILABLE,{to},tower_micro.disposition=processed}} 3"
        ),
        format!("tower_micro.client.call.retries[{{retry}}]{{{of},{to}}} 3"),
    ];
    assert_eq!(counts(&series), expected);
    let retries = series.iter().find(|(name, _)| name.contains("retries"));
    assert_eq!(retries.unwrap().1.1, 3.0, "one each");
}

#[tokio::test]
async fn retries_are_counted_of_a_call_whose_answer_ends_badly() {
    let meter = Meter::new();
    let client = scripted(&Recording::of(2), |request| async move {
        Ok(match number_of(&request) {
            0 => failing(Status::unavailable("busy")),
            _ => greeting_until("n1", async { [("grpc-status", "5")] }),
        })
    });
    let client = client.options(CallOptions::new().idempotent(true));
    let client = measured(client, meter.otel(Names::Otel));
    let status = call(&client).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);
    let series = meter.series();
    let retries = series.iter().find(|(name, _)| name.contains("retries"));
    assert_eq!(retries.map(|(_, told)| *told), Some((1, 1.0)));
}

#[tokio::test]
async fn grpc_has_names_of_its_own() {
    let meter = Meter::new();
    call(&measured(stumbling(2), meter.otel(Names::Grpc)))
        .await
        .unwrap();
    let of = "grpc.method=greeter.Greeter/SayHello";
    let expected = [
        format!("grpc.client.attempt.duration[s]{{{of},grpc.status=OK,grpc.target=greeter}} 1"),
        format!(
            "grpc.client.attempt.duration[s]{{{of},grpc.status=UNAVAILABLE,grpc.target=greeter}} 1"
        ),
        format!("grpc.client.attempt.started[{{attempt}}]{{{of},grpc.target=greeter}} 2"),
        format!("grpc.client.call.duration[s]{{{of},grpc.status=OK,grpc.target=greeter}} 1"),
        format!("grpc.client.call.retries[{{retry}}]{{{of},grpc.target=greeter}} 1"),
    ];
    assert_eq!(counts(&meter.series()), expected);
}

#[tokio::test]
async fn a_call_that_is_let_go_of_is_counted_as_cancelled_and_not_as_active() {
    let meter = Meter::new();
    let client = scripted(&Recording::of(1), |_| std::future::pending());
    let client = measured(client, meter.otel(Names::Otel));
    let mut stub = greeter(&client);
    let mut pending = tokio_test::task::spawn(stub.say_hello(hello()));
    assert!(pending.poll().is_pending());
    let active = |series: &Series| {
        counts(series)
            .iter()
            .filter(|line| line.contains("active") && line.ends_with(" 1"))
            .count()
    };
    assert_eq!(active(&meter.series()), 1);
    drop(pending);
    let series = meter.series();
    assert_eq!(active(&series), 0);
    let ended: Vec<_> = counts(&series)
        .into_iter()
        .filter(|line| line.contains("duration"))
        .collect();
    assert_eq!(ended.len(), 2);
    assert!(
        ended
            .iter()
            .all(|line| line.contains("=CANCELLED") && line.ends_with(" 1")),
        "{ended:?}"
    );
}

// A service of 10 000 nodes.
#[tokio::test]
async fn the_number_of_series_does_not_grow_with_the_nodes() {
    let meter = Meter::new();
    let client = measured(stumbling(10_000), meter.otel(Names::Otel));
    let mut stub = greeter(&client);
    for _ in 0..500 {
        // In the end the retry budget is spent.
        let _ = stub.say_hello(hello()).await;
    }
    assert!(meter.series().len() <= 6, "{:#?}", meter.series());
}

#[tokio::test]
async fn nodes_are_named_if_they_are_asked_for() {
    let meter = Meter::new();
    let attempts = AttemptMetricsLayer::new(meter.otel(Names::Otel)).by_node();
    call(&stumbling(2).wrap_call(attempts).build().unwrap())
        .await
        .unwrap();
    let nodes = counts(&meter.series());
    assert_eq!(
        nodes
            .iter()
            .filter(|line| line.contains("tower_micro.node.id=n"))
            .count(),
        2
    );
}

/// Asks `server` for a method.
async fn ask(server: &TestServer, path: &str) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(plain(server));
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let answer = client.unary(tonic::Request::new(()), path.parse().unwrap(), codec);
    soon(answer).await.map(|_| ())
}

#[tokio::test]
async fn what_a_server_is_asked_for_and_has_not_is_one_series() {
    let (meter, greeter) = (Meter::new(), Greeter::new("n0"));
    let layer = HandlerMetricsLayer::new(meter.otel(Names::Otel)).methods(Methods::up_to(10));
    let router = Server::builder()
        .layer(layer)
        .layer(traced_handlers())
        .add_service(greeter.service());
    let server = TestServer::serve("n0", router).await.unwrap();
    for number in 0..50 {
        ask(&server, &format!("/greeter.Greeter/Made{number}Up"))
            .await
            .unwrap_err();
    }
    ask(&server, "/greeter.Greeter/SayHello").await.unwrap();
    greeter.answer(Answer::Fail(Status::not_found("nobody")));
    ask(&server, "/greeter.Greeter/SayHello").await.unwrap_err();
    let grpc = "rpc.system.name=grpc";
    let expected = [
        format!(
            "rpc.server.call.duration[s]{{error.type=UNIMPLEMENTED,rpc.method=_OTHER,rpc.response.status_code=UNIMPLEMENTED,{grpc}}} 50"
        ),
        format!(
            "rpc.server.call.duration[s]{{rpc.method=greeter.Greeter/SayHello,rpc.response.status_code=NOT_FOUND,{grpc}}} 1"
        ),
        format!(
            "rpc.server.call.duration[s]{{rpc.method=greeter.Greeter/SayHello,rpc.response.status_code=OK,{grpc}}} 1"
        ),
    ];
    assert_eq!(counts(&meter.series()), expected);
}

/// A request in gRPC, as far as a server's layers look at it.
fn asked(path: &str) -> Request<()> {
    let request = Request::builder().uri(path);
    let request = request.header("content-type", "application/grpc");
    request.body(()).unwrap()
}

// As a router has them that serves both.
#[tokio::test]
async fn plain_http_beside_grpc_is_no_call() {
    let meter = Meter::new();
    let layer = HandlerMetricsLayer::new(meter.otel(Names::Otel));
    let mut server = layer.layer(service_fn(|_: Request<()>| {
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(
            "well",
        ))))
    }));
    let request = Request::builder().uri("/healthz").body(()).unwrap();
    server.call(request).await.unwrap().collect().await.unwrap();
    assert_eq!(counts(&meter.series()), [""; 0]);
    let answer = server.call(asked("/a.B/C")).await.unwrap();
    answer.collect().await.unwrap();
    assert_eq!(counts(&meter.series()).len(), 1);
}

#[tokio::test]
async fn what_a_layer_refuses_before_it_is_handled_takes_no_series_from_a_method() {
    let meter = Meter::new();
    let layer = HandlerMetricsLayer::new(meter.otel(Names::Otel)).methods(Methods::up_to(10));
    let mut server = layer.layer(service_fn(|request: Request<()>| {
        let status = match request.uri().path() {
            "/greeter.Greeter/SayHello" => Status::not_found("nobody"),
            _ => Status::unauthenticated("who are you?"),
        };
        ready(Ok::<_, Infallible>(status.into_http::<tonic::body::Body>()))
    }));
    let paths = (0..50).map(|number| format!("/greeter.Greeter/Made{number}Up"));
    for path in paths.chain(["/greeter.Greeter/SayHello".into()]) {
        server.call(asked(&path)).await.unwrap();
    }
    let series = counts(&meter.series());
    assert_eq!(series.len(), 2, "{series:?}");
    assert!(series[1].contains("greeter.Greeter/SayHello"), "{series:?}");
    assert!(
        series[0].contains("=_OTHER") && series[0].ends_with(" 50"),
        "{series:?}"
    );
}

// Such an error becomes an answer further outside.
#[tokio::test]
async fn so_is_it_where_the_layer_refuses_by_an_error() {
    let meter = Meter::new();
    let layer = HandlerMetricsLayer::new(meter.otel(Names::Otel));
    let mut server = layer.layer(service_fn(|request: Request<()>| {
        let refused: BoxError = match request.uri().path() {
            "/a.B/C" => Status::unauthenticated("who are you?").into(),
            "/a.B/D" => Error::from(Status::permission_denied("not you")).into(),
            _ => "torn".into(),
        };
        ready(Err::<Response<tonic::body::Body>, _>(refused))
    }));
    for path in ["/a.B/C", "/a.B/D", "/a.B/E"] {
        server.call(asked(path)).await.unwrap_err();
    }
    let grpc = "rpc.system.name=grpc";
    let broken = std::any::type_name::<BoxError>();
    let of = |status| format!("rpc.method=_OTHER,rpc.response.status_code={status},{grpc}");
    let expected = [
        format!(
            "rpc.server.call.duration[s]{{error.type={broken},{}}} 1",
            of("UNKNOWN")
        ),
        format!(
            "rpc.server.call.duration[s]{{{}}} 1",
            of("PERMISSION_DENIED")
        ),
        format!("rpc.server.call.duration[s]{{{}}} 1", of("UNAUTHENTICATED")),
    ];
    assert_eq!(counts(&meter.series()), expected);
}

// As the callers of some do with all of them: that it has begun shows that there is a handler.
#[tokio::test]
async fn a_stream_that_is_let_go_of_has_the_series_of_its_method() {
    let meter = Meter::new();
    let layer = HandlerMetricsLayer::new(meter.otel(Names::Otel));
    let mut server = layer.layer(service_fn(|_: Request<()>| {
        let mut response = Response::new(http_body_util::StreamBody::new(pending_frames()));
        let grpc = http::HeaderValue::from_static("application/grpc");
        response.headers_mut().insert("content-type", grpc);
        ready(Ok::<_, Infallible>(response))
    }));
    drop(server.call(asked("/a.B/Watch")).await.unwrap());
    let expected = "rpc.server.call.duration[s]{rpc.method=a.B/Watch,rpc.response.status_code=CANCELLED,rpc.system.name=grpc} 1";
    assert_eq!(counts(&meter.series()), [expected]);
}

fn pending_frames() -> futures_util::stream::Pending<Result<http_body::Frame<Bytes>, Infallible>> {
    futures_util::stream::pending()
}

#[tokio::test]
async fn durations_have_the_boundaries_of_their_convention() {
    let bounds = |names| {
        let meter = Meter::new();
        let client = measured(stumbling(2), meter.otel(names));
        async move {
            call(&client).await.unwrap();
            meter.bounds()
        }
    };
    let otel = bounds(Names::Otel).await;
    let of_calls = &otel["rpc.client.call.duration"];
    assert_eq!(
        (of_calls.len(), of_calls[0], of_calls[13]),
        (14, 0.005, 10.0)
    );
    assert_eq!(otel["tower_micro.client.attempt.duration"], *of_calls);
    let grpc = bounds(Names::Grpc).await;
    let of_calls = &grpc["grpc.client.call.duration"];
    assert_eq!(
        (of_calls.len(), of_calls[1], of_calls[40]),
        (41, 0.00001, 100.0)
    );
    assert_eq!(grpc["grpc.client.attempt.duration"], *of_calls);
    for bounds in [&otel, &grpc] {
        for (name, bounds) in bounds {
            assert!(bounds.is_sorted(), "{name}: {bounds:?}");
        }
    }
}

#[tokio::test]
async fn a_call_that_panics_is_counted_as_what_its_caller_is_told() {
    let meter = Meter::new();
    let client = scripted(&Recording::of(1), |_| async { panic!("oh no") });
    let client = measured(client, meter.otel(Names::Otel));
    let status = call(&client).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Internal, "{status}");
    let series = counts(&meter.series());
    let told = series.iter().filter(|line| line.contains("=INTERNAL"));
    assert_eq!(told.count(), 2, "the call and its attempt: {series:#?}");
    let of_call = series.iter().find(|line| line.contains("call.duration"));
    assert!(of_call.unwrap().contains("error.type=panic"), "{series:#?}");
    assert!(
        series
            .iter()
            .any(|line| line.contains("active") && line.ends_with(" 0"))
    );
}

#[tokio::test]
async fn what_is_answered_without_grpc_takes_no_series_from_a_method() {
    let meter = Meter::new();
    let layer = HandlerMetricsLayer::new(meter.otel(Names::Otel)).methods(Methods::up_to(10));
    let mut server = layer.layer(service_fn(|request: Request<()>| {
        let mut response = Response::new(http_body_util::Empty::<Bytes>::new());
        if request.uri().path() == "/greeter.Greeter/SayHello" {
            let headers = [("content-type", "application/grpc"), ("grpc-status", "0")];
            let headers =
                headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            response
                .headers_mut()
                .extend(http::HeaderMap::from_iter(headers));
        }
        ready(Ok::<_, Infallible>(response))
    }));
    let paths = (0..50).map(|number| format!("/users/{number}"));
    for path in paths.chain(["/greeter.Greeter/SayHello".into()]) {
        server.call(asked(&path)).await.unwrap();
    }
    let of = "rpc.response.status_code=OK,rpc.system.name=grpc";
    let expected = ["_OTHER", "greeter.Greeter/SayHello"].map(|method| {
        let count = if method == "_OTHER" { 50 } else { 1 };
        format!("rpc.server.call.duration[s]{{rpc.method={method},{of}}} {count}")
    });
    assert_eq!(counts(&meter.series()), expected);
}

#[tokio::test]
async fn the_facade_is_told_the_same() {
    let ledger = Ledger::default();
    let _recorder = metrics::set_default_local_recorder(&ledger);
    let facade = Arc::new(Facade::new());
    let client = stumbling(2)
        .wrap_client(CallMetricsLayer::new(Arc::clone(&facade)))
        .wrap_call(AttemptMetricsLayer::new(facade));
    call(&client.build().unwrap()).await.unwrap();
    let of = "method=greeter.Greeter/SayHello,service=greeter";
    let expected = [
        format!("rpc_client_active_calls{{{of}}} 0"),
        format!("rpc_client_attempt_duration_seconds{{{of},status=OK}} 1"),
        format!(
            "rpc_client_attempt_duration_seconds{{{of},status=UNAVAILABLE,disposition=processed}} 1"
        ),
        format!("rpc_client_call_duration_seconds{{{of},status=OK}} 1"),
        format!("rpc_client_call_retries{{{of}}} 1"),
    ];
    let series = ledger.0.lock().unwrap();
    assert_eq!(counts(&series), expected);
    assert_eq!(series[&format!("rpc_client_active_calls{{{of}}}")].1, 0.0);
}

/// The names of instruments in a text: what stands in backticks or quotes.
fn instruments(text: &str) -> std::collections::BTreeSet<&str> {
    let words = text.split(['`', '"']).skip(1).step_by(2);
    let is_name = |word: &&str| {
        let beginnings = ["rpc.", "grpc.", "tower_micro.client.", "rpc_"];
        let begins = beginnings.iter().any(|start| word.starts_with(start));
        begins
            && ["duration", "started", "retries", "active", "seconds"]
                .iter()
                .any(|part| word.contains(part))
    };
    words.filter(is_name).collect()
}

#[test]
fn the_page_names_the_instruments_that_there_are() {
    let page = crate::documents::read("docs/observability.md");
    let (_, page) = page.split_once("\n## Numbers\n").unwrap();
    let table: String = page.lines().filter(|line| line.starts_with("| ")).collect();
    let code = ["otel", "facade"].map(|file| {
        let code = crate::documents::read(format!("crates/metrics/src/{file}.rs"));
        let lines = code.lines().filter(|line| !line.starts_with("//"));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    });
    let code = code.concat();
    assert!(instruments(&table).len() > 10);
    assert_eq!(instruments(&table), instruments(&code));
}
