//! What a program sets up once: where spans go.

use std::time::Duration;

use opentelemetry::{InstrumentationScope, global, trace::TracerProvider};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tower_micro::{
    BoxError,
    crates::trace::{
        attributes::SCHEMA_URL,
        picture::{Recorder, Trace},
    },
};
use tracing_subscriber::{
    Layer, filter::LevelFilter, layer::SubscriberExt, util::SubscriberInitExt,
};

/// A recorder for the picture, and an exporter if there is a collector.
pub(crate) struct Telemetry {
    provider: SdkTracerProvider,
    pub(crate) recorder: Recorder,
}

impl Telemetry {
    pub(crate) fn install(collector: Option<&str>) -> Result<Self, BoxError> {
        let recorder = Recorder::new();
        let mut provider = SdkTracerProvider::builder()
            .with_resource(Resource::builder().with_service_name("gateway").build())
            .with_simple_exporter(recorder.clone());
        if let Some(url) = collector {
            let exporter = SpanExporter::builder().with_tonic().with_endpoint(url);
            // A bounded queue: a collector that is slow or gone costs spans, never calls.
            provider = provider.with_batch_exporter(exporter.build()?);
        }
        let provider = provider.build();
        global::set_tracer_provider(provider.clone());
        let scope = InstrumentationScope::builder("tower-micro").with_schema_url(SCHEMA_URL);
        let spans = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer_with_scope(scope.build()))
            // Eight attributes a span that nobody asked for.
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_level(false)
            // h2, hyper and tonic have spans of their own, at TRACE; the exporter uses all three.
            .with_filter(LevelFilter::INFO);
        tracing_subscriber::registry().with(spans).try_init()?;
        Ok(Self { provider, recorder })
    }

    /// Waits until no more spans end.
    pub(crate) async fn settle(&self) {
        let mut before = String::new();
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let now: String = self
                .recorder
                .traces()
                .iter()
                .map(Trace::waterfall)
                .collect();
            if now == before {
                return;
            }
            before = now;
        }
    }

    /// The part of the trace that the service in the middle began: after the browser's call and the gateway's.
    pub(crate) fn call_to_hello(&self) -> Option<Trace> {
        self.recorder.traces().last()?.call(2)
    }

    pub(crate) fn flush(&self) -> Result<(), BoxError> {
        self.provider.shutdown().map_err(Into::into)
    }
}
