//! What a program sets up to send its spans: as docs/observability.md has it, with the batch processor as it comes.

use std::{net::SocketAddr, sync::OnceLock};

use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Runtime;
use tracing::{Dispatch, dispatcher::DefaultGuard, subscriber::NoSubscriber};

use crate::cases::tracing::recording;

/// Where the spans of a thread go while it is told so.
#[derive(Debug)]
pub(super) struct Telemetry(Dispatch);

impl Telemetry {
    /// To a collector at `address`, or nowhere.
    pub(super) fn to(address: Option<SocketAddr>) -> Self {
        let Some(address) = address else {
            return Self(Dispatch::new(NoSubscriber::new()));
        };
        let _elsewhere = elsewhere().enter();
        let exporter = SpanExporter::builder().with_tonic();
        let exporter = exporter.with_endpoint(format!("http://{address}")).build();
        let exporter = exporter.expect("an address and a port are an endpoint");
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .build();
        Self(Dispatch::new(recording(&provider)))
    }

    /// Spans of this thread go there until the guard is dropped.
    pub(super) fn begin(&self) -> DefaultGuard {
        tracing::dispatcher::set_default(&self.0)
    }
}

/// Where exporters live: not on the thread that calls.
fn elsewhere() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build();
        runtime.expect("a thread can be had")
    })
}
