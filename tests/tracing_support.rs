//! An OTLP collector on a real socket, and what it has received.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock},
};

use opentelemetry::{InstrumentationScope, trace::TracerProvider};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span as Exported, span::SpanKind, status::StatusCode},
};
use opentelemetry_sdk::trace::{BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider};
use serde_json::json;
use tokio::{net::TcpListener, runtime::Runtime};

use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};
use tower_micro::crates::trace::attributes::SCHEMA_URL;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::{Layer, Registry, filter::LevelFilter, layer::SubscriberExt};

use crate::support::CAME_FROM;

/// Where collectors and exporters live: not on the thread of the test that waits for them.
pub(crate) fn elsewhere() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().unwrap()
    })
}

/// One span as it came over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty for a root.
    pub(crate) parent: String,
    pub(crate) kind: SpanKind,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) events: Vec<String>,
    pub(crate) is_error: bool,
    pub(crate) description: String,
    pub(crate) nanos: (u64, u64),
}

/// Name; trace, id, parent; kind; attributes; events; whether it is an error, the description, begin and end.
type Line = (
    String,
    [String; 3],
    String,
    BTreeMap<String, String>,
    Vec<String>,
    (bool, String, (u64, u64)),
);

impl Seen {
    fn of(span: Exported) -> Self {
        let status = span.status.clone().unwrap_or_default();
        assert_ne!(
            status.code(),
            StatusCode::Ok,
            "success stays unset: {span:?}"
        );
        Self {
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            kind: span.kind(),
            attributes: span.attributes.iter().map(pair).collect(),
            events: span.events.iter().map(|event| event.name.clone()).collect(),
            is_error: status.code() == StatusCode::Error,
            description: status.message,
            nanos: (span.start_time_unix_nano, span.end_time_unix_nano),
            name: span.name,
        }
    }

    /// As a line of a file.
    pub(crate) fn to_line(&self) -> String {
        let kind = self.kind.as_str_name();
        let ids = [&self.trace, &self.id, &self.parent];
        let ending = (self.is_error, &self.description, self.nanos);
        json!([self.name, ids, kind, self.attributes, self.events, ending]).to_string()
    }

    /// What [`to_line`](Self::to_line) wrote.
    pub(crate) fn from_line(line: &str) -> Self {
        let (name, [trace, id, parent], kind, attributes, events, ending): Line =
            serde_json::from_str(line).unwrap();
        let (is_error, description, nanos) = ending;
        Self {
            name,
            trace,
            id,
            parent,
            kind: SpanKind::from_str_name(&kind).unwrap(),
            attributes,
            events,
            is_error,
            description,
            nanos,
        }
    }

    /// Whether it is the span of a call.
    pub(crate) fn is_call(&self) -> bool {
        self.kind == SpanKind::Client && self.attributes.contains_key("rpc.method")
    }

    /// The span that a handler was told it came from, if it was told.
    pub(crate) fn came_from(&self) -> &str {
        self.get(&format!("rpc.request.metadata.{CAME_FROM}"))
    }

    pub(crate) fn get(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }

    pub(crate) fn status(&self) -> &str {
        self.get("rpc.response.status_code")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn pair(pair: &KeyValue) -> (String, String) {
    (pair.key.clone(), text_of(pair.value.as_ref()))
}

fn text_of(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => format!("int {number}"),
        Some(Value::ArrayValue(list)) => {
            let members = list.values.iter().map(|member| text_of(Some(member)));
            members.collect::<Vec<_>>().join(", ")
        }
        other => format!("{other:?}"),
    }
}

/// Hands on each span that it is sent, and answers when all of them have been taken.
#[derive(Clone)]
pub(crate) struct Collector(Arc<dyn Fn(Seen) -> Result<(), Status> + Send + Sync>);

impl Collector {
    /// `take` gets the spans; what it fails with is the answer.
    pub(crate) fn new(take: impl Fn(Seen) -> Result<(), Status> + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            for scope in resource.scope_spans {
                assert_eq!(scope.schema_url, SCHEMA_URL);
                scope
                    .spans
                    .into_iter()
                    .map(Seen::of)
                    .try_for_each(&*self.0)?;
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Called inside of the runtime in which it is to run.
pub(crate) fn collect(collector: Collector) -> SocketAddr {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let service = TraceServiceServer::new(collector);
    let incoming = TcpIncoming::from(TcpListener::from_std(listener).unwrap());
    let server = Server::builder().add_service(service);
    tokio::spawn(server.serve_with_incoming(incoming.with_nodelay(Some(true))));
    address
}

/// The tracing of one test: its spans go to its own collector, over a socket.
pub(crate) struct Telescope {
    provider: SdkTracerProvider,
    received: Arc<Mutex<Vec<Seen>>>,
    _subscriber: DefaultGuard,
}

impl Telescope {
    pub(crate) fn new() -> Self {
        Self::filtered(LevelFilter::INFO)
    }

    /// Spans go through `filter` before they are recorded.
    pub(crate) fn filtered<F>(filter: F) -> Self
    where
        F: tracing_subscriber::layer::Filter<Registry> + Send + Sync + 'static,
    {
        Self::sampling(Sampler::AlwaysOn, |layer| layer.with_filter(filter).boxed())
    }

    pub(crate) fn sampling(
        sampler: Sampler,
        wrap: impl FnOnce(Recorder) -> Box<dyn Layer<Registry> + Send + Sync>,
    ) -> Self {
        let received: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let keep = Arc::clone(&received);
        let collector = Collector::new(move |span| {
            keep.lock().unwrap().push(span);
            Ok(())
        });
        let exporter = {
            let _elsewhere = elsewhere().enter();
            let address = collect(collector);
            let exporter = SpanExporter::builder().with_tonic();
            exporter
                .with_endpoint(format!("http://{address}"))
                .build()
                .unwrap()
        };
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(exporter).build())
            .with_sampler(Sampler::ParentBased(Box::new(sampler)))
            .build();
        let layer = wrap(recorder(&provider));
        let subscriber = tracing::subscriber::set_default(Registry::default().with(layer));
        Self {
            provider,
            received,
            _subscriber: subscriber,
        }
    }

    /// All that has been received, in the order in which it began.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.provider.force_flush().unwrap();
        let mut seen = self.received.lock().unwrap().clone();
        seen.sort_by_key(|span| span.nanos.0);
        seen
    }

    /// The same once `count` spans have ended: a server's may end after the call it served.
    pub(crate) async fn until(&self, count: usize) -> Vec<Seen> {
        crate::support::soon(async {
            loop {
                let seen = self.seen();
                if seen.len() >= count {
                    return seen;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }
}

impl Drop for Telescope {
    fn drop(&mut self) {
        let _ = self.provider.shutdown();
    }
}

pub(crate) type Recorder = tracing_opentelemetry::OpenTelemetryLayer<Registry, SdkTracer>;

/// The layer that docs/observability.md recommends.
pub(crate) fn recorder(provider: &SdkTracerProvider) -> Recorder {
    tracing_opentelemetry::layer()
        .with_tracer(recording(provider))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false)
        .with_level(false)
}

/// The tracer that it writes with.
pub(crate) fn recording(provider: &SdkTracerProvider) -> SdkTracer {
    let scope = InstrumentationScope::builder("tower-micro").with_schema_url(SCHEMA_URL);
    provider.tracer_with_scope(scope.build())
}
