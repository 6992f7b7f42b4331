//! Spans over a socket, none lost: a process of tests ends without a word, and nobody flushes it. So a thread that has ended spans does
//! not end before they have arrived, and each is told of when it ends, for whoever counts what arrived.
//!
//! That waits on whatever thread and in whatever kind of time, so exporter and collector have a thread and a runtime of their own.
//! Nothing is traced there: the exporter is a tonic client too.

use std::{
    cell::OnceCell,
    fmt,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread,
    time::Duration,
};

use opentelemetry::{
    Context,
    trace::{Span as _, Tracer},
};
use opentelemetry_otlp::{RetryPolicy, SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracer, SdkTracerProvider, Span, SpanData, SpanExporter as _, SpanProcessor},
};
use tokio::runtime::Runtime;
use tonic::Status;
use tracing::subscriber::NoSubscriber;

use crate::tracing_support::{Collector, collect, recording};

/// So many spans wait to be sent, and so many are sent at once; whoever ends another waits for room.
const BATCH: usize = 512;

/// Longer than a busy machine takes for one export.
const PATIENCE: Duration = Duration::from_secs(60);

/// What becomes of spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// One has ended, and will be sent.
    Ended,
    /// So many have not arrived, and why.
    Lost(usize, String),
}

/// Hears the news, on whatever thread they come up.
type Tell = Arc<dyn Fn(News) + Send + Sync>;

/// Sends each span that ends to a collector. One a process: a thread waits for the first that it has ended spans of.
pub(crate) struct Exporting {
    queue: SyncSender<Queued>,
    tell: Tell,
}

/// What the exporter gets, in order.
enum Queued {
    Span(Box<SpanData>),
    /// Somebody waits until all that came before is done, and this is dropped.
    Waiting(Sender<()>),
}

/// Waits, when it is dropped, until the spans that went into the queue before have arrived or are lost.
struct Waits(SyncSender<Queued>);

thread_local! {
    static OF_THIS_THREAD: OnceCell<Waits> = const { OnceCell::new() };
}

impl Drop for Waits {
    fn drop(&mut self) {
        let (waiting, done) = channel();
        // An exporter that is gone has dropped it.
        let _ = self.0.send(Queued::Waiting(waiting));
        let _ = done.recv();
    }
}

impl Exporting {
    /// To `collector`, over a socket; `tell` hears the news.
    pub(crate) fn to(collector: Collector, tell: impl Fn(News) + Send + Sync + 'static) -> Self {
        let (queue, queued) = sync_channel(BATCH);
        let tell: Tell = Arc::new(tell);
        let hears = Arc::clone(&tell);
        let thread = thread::Builder::new().name("exporter and collector".into());
        thread
            .spawn(move || {
                let _untraced = tracing::subscriber::set_default(NoSubscriber::new());
                export(collector, &queued, &*hears);
            })
            .unwrap();
        Self { queue, tell }
    }
}

/// Sends what is queued, together, until nobody is left who could queue any more.
fn export(collector: Collector, queued: &Receiver<Queued>, tell: &dyn Fn(News)) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let exporter = exporter(&runtime, collector);
    while let Ok(first) = queued.recv() {
        let (mut spans, mut waiting) = (Vec::new(), Vec::new());
        for queued in [first].into_iter().chain(queued.try_iter().take(BATCH)) {
            match queued {
                Queued::Span(span) => spans.push(*span),
                Queued::Waiting(done) => waiting.push(done),
            }
        }
        let count = spans.len();
        if let Err(why) = runtime.block_on(exporter.export(spans)) {
            tell(News::Lost(count, why.to_string()));
        }
        drop(waiting);
    }
}

fn exporter(runtime: &Runtime, collector: Collector) -> SpanExporter {
    let _inside = runtime.enter();
    SpanExporter::builder()
        .with_tonic()
        .with_endpoint(format!("http://{}", collect(collector)))
        .with_timeout(PATIENCE)
        .with_retry_policy(RetryPolicy::disabled())
        .build()
        .unwrap()
}

impl fmt::Debug for Exporting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exporting")
    }
}

impl SpanProcessor for Exporting {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        (self.tell)(News::Ended);
        // An exporter that is gone receives none, which whoever counts will see.
        let _ = self.queue.send(Queued::Span(Box::new(span)));
        let waits = || Waits(self.queue.clone());
        let known = OF_THIS_THREAD.try_with(|known| _ = known.get_or_init(waits));
        if known.is_err() {
            // The thread is ending already.
            drop(waits());
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        drop(Waits(self.queue.clone()));
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.force_flush()
    }
}

/// Tracing to `collector`, and the news of it.
fn tracer(collector: Collector) -> (SdkTracer, Receiver<News>) {
    let (tell, news) = channel();
    let exporting = Exporting::to(collector, move |heard| drop(tell.send(heard)));
    let provider = SdkTracerProvider::builder().with_span_processor(exporting);
    (recording(&provider.build()), news)
}

/// Ends `count` spans on a thread of their own, whose time stands still.
fn end(tracer: &SdkTracer, count: usize) -> thread::JoinHandle<()> {
    let tracer = tracer.clone();
    thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async { (0..count).for_each(|_| tracer.start("one of many").end()) });
    })
}

#[test]
fn the_spans_of_a_thread_have_arrived_when_it_has_ended() {
    let (tell, arrived) = channel();
    let collector = Collector::new(move |span| {
        let taken = tell.send(span.name);
        taken.map_err(|gone| Status::internal(gone.to_string()))
    });
    let (tracer, news) = tracer(collector);
    for count in [1, 3 * BATCH] {
        end(&tracer, count).join().unwrap();
        assert_eq!(arrived.try_iter().count(), count);
        let told: Vec<_> = news.try_iter().collect();
        assert_eq!(told, vec![News::Ended; count]);
    }
}

#[test]
fn spans_that_the_collector_refuses_are_lost_and_told() {
    let (tracer, news) = tracer(Collector::new(|_| Err(Status::unavailable("full"))));
    end(&tracer, 1).join().unwrap();
    assert_eq!(news.try_recv().unwrap(), News::Ended);
    let told = news.try_recv().unwrap();
    let News::Lost(1, why) = &told else {
        panic!("{told:?}");
    };
    assert!(why.contains("Unavailable"), "{why}");
}
