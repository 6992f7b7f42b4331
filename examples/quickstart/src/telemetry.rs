//! Spans of this process, kept in it.

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tower_micro::{BoxError, crates::trace::picture::Recorder};
use tracing_subscriber::{
    Layer, filter::LevelFilter, layer::SubscriberExt, util::SubscriberInitExt,
};

/// Keeps spans from now on. A program that has a collector would give the provider an exporter instead.
pub(crate) fn record() -> Result<Recorder, BoxError> {
    let recorder = Recorder::new();
    let provider = SdkTracerProvider::builder().with_simple_exporter(recorder.clone());
    let tracer = provider.build().tracer("quickstart");
    let spans = tracing_opentelemetry::layer().with_tracer(tracer);
    let spans = spans.with_filter(LevelFilter::INFO);
    tracing_subscriber::registry().with(spans).try_init()?;
    Ok(recorder)
}
