//! A collector that is gone, or that takes everything and answers nothing, costs spans and never calls.

use std::{
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::future::join_all;
use opentelemetry_otlp::{SpanExporter as Otlp, WithExportConfig};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter},
};
use tokio::sync::Semaphore;
use tower_micro::{AttemptTraceLayer, Attempts, CallTraceLayer, Client};
use tower_micro_testkit::closed_port;
use tracing_subscriber::{Layer, Registry, filter::LevelFilter, layer::SubscriberExt};

use crate::{
    support::{Fleet, greeter, hello, soon},
    tracing_support::{elsewhere, recorder},
};

const QUEUE: usize = 64;
const CALLS: usize = 500;

/// A queue with bounds, before `exporter`.
fn provider(exporter: impl SpanExporter + 'static) -> SdkTracerProvider {
    let queue = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE)
        .with_max_export_batch_size(QUEUE / 4)
        .with_scheduled_delay(Duration::from_millis(1));
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(queue.build());
    SdkTracerProvider::builder()
        .with_span_processor(processor.build())
        .build()
}

/// Many calls at once, each with two spans. All of them succeed.
async fn calls(provider: &SdkTracerProvider) {
    let layer = recorder(provider).with_filter(LevelFilter::INFO);
    let _subscriber = tracing::subscriber::set_default(Registry::default().with(layer));
    let fleet = Fleet::of(1).await;
    let client = Client::builder()
        .registry(fleet.registry())
        .wrap_client(CallTraceLayer::new())
        .wrap_call(AttemptTraceLayer::new().attempts(Attempts::Always))
        .build()
        .unwrap();
    for _ in 0..CALLS / 64 + 1 {
        let stub = greeter(&client);
        let calls = (0..64).map(|_| {
            let mut stub = stub.clone();
            async move { stub.say_hello(hello()).await }
        });
        for answer in soon(join_all(calls)).await {
            answer.unwrap();
        }
    }
}

/// Takes a batch and does not give it back until it is let.
#[derive(Clone, Debug)]
struct Stuck {
    held: Arc<AtomicUsize>,
    free: Arc<Semaphore>,
    exported: Arc<Mutex<usize>>,
}

impl SpanExporter for Stuck {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.held.fetch_max(batch.len(), SeqCst);
        let _free = self.free.acquire().await;
        *self.exported.lock().unwrap() += batch.len();
        Ok(())
    }
}

#[tokio::test]
async fn spans_that_find_no_room_are_dropped_and_no_call_waits_for_them() {
    let stuck = Stuck {
        held: Arc::default(),
        free: Arc::new(Semaphore::new(0)),
        exported: Arc::default(),
    };
    let provider = provider(stuck.clone());
    calls(&provider).await;
    stuck.free.add_permits(1);
    let _ = provider.shutdown();
    let exported = *stuck.exported.lock().unwrap();
    // What was in the queue, and the batch that was out.
    assert!(
        exported <= QUEUE + QUEUE / 4,
        "{exported} were kept of {}",
        2 * CALLS
    );
    assert!(exported >= QUEUE / 4 && stuck.held.load(SeqCst) <= QUEUE / 4);
}

/// Spans over OTLP to `address`, with as little patience as can be.
fn otlp(address: std::net::SocketAddr) -> Otlp {
    let _elsewhere = elsewhere().enter();
    let exporter = Otlp::builder()
        .with_tonic()
        .with_timeout(Duration::from_millis(200));
    exporter
        .with_endpoint(format!("http://{address}"))
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_collector_that_is_down_fails_no_call() {
    let nobody = closed_port().await.unwrap();
    let provider = provider(otlp(nobody.parse().unwrap()));
    calls(&provider).await;
    let _ = provider.shutdown_with_timeout(Duration::from_millis(10));
}

// It accepts connections, by the kernel's grace, and reads nothing.
#[tokio::test]
async fn a_collector_that_swallows_everything_fails_no_call() {
    // Spans may be on their way to it when this has ended, and are not to reach another collector.
    let listener = Box::leak(Box::new(TcpListener::bind(("127.0.0.1", 0)).unwrap()));
    let provider = provider(otlp(listener.local_addr().unwrap()));
    calls(&provider).await;
    let _ = provider.shutdown_with_timeout(Duration::from_millis(10));
}
