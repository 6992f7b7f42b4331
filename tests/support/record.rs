//! The file of a traced suite: a line for each span that ended, one for each that the collector received, and whatever must not be.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::{
    Layer, Registry,
    filter::{LevelFilter, Targets},
    fmt::{MakeWriter, format::FmtSpan},
    layer::SubscriberExt,
};

use crate::{
    tracing_export::{Exporting, News},
    tracing_support::{Collector, recorder},
};

/// The variable that names the file.
pub(crate) const FILE: &str = "TOWER_MICRO_TRACED";

/// What every call of a traced suite carries, and nobody may tell.
pub(crate) const CANARY: &str = "c4n4ry-of-the-suite";

/// The line of a span that has ended and is to be sent.
pub(crate) const ENDED: &str = "ended";

/// The file, if the suite is traced.
pub(super) fn lines() -> Option<Lines> {
    static LINES: OnceLock<Option<Lines>> = OnceLock::new();
    LINES
        .get_or_init(|| {
            let file = std::env::var_os(FILE)?;
            let file = OpenOptions::new().create(true).append(true).open(file);
            let file = file.expect("the file of spans can be written");
            let lines = Lines(Arc::new(Mutex::new(file)));
            install(&lines);
            Some(lines)
        })
        .clone()
}

fn install(lines: &Lines) {
    let provider = SdkTracerProvider::builder().with_span_processor(exporting(lines));
    let record = recorder(&provider.build()).with_filter(LevelFilter::INFO);
    // What the transport logs is a flood; `tracing_secrets` looks through it for one scene.
    let ours = ["h2", "hyper", "hyper_util"].map(|target| (target, LevelFilter::OFF));
    let ours = Targets::new()
        .with_default(LevelFilter::TRACE)
        .with_targets(ours);
    let print = tracing_subscriber::fmt::layer().with_writer(lines.clone());
    let print = print.with_span_events(FmtSpan::CLOSE).with_filter(ours);
    let listeners = Registry::default().with(record).with(print);
    tracing::subscriber::set_global_default(listeners).expect("no test sets one for all");
}

/// The collector writes what it received; what ended, and what was lost on the way, is written where it is known.
fn exporting(lines: &Lines) -> Exporting {
    let (received, sent) = (lines.clone(), lines.clone());
    let collector = Collector::new(move |span| {
        received.write(&span.to_line());
        Ok(())
    });
    Exporting::to(collector, move |news| match news {
        News::Ended => sent.write(ENDED),
        News::Lost(count, why) => sent.write(&format!("lost: {count} spans: {why}")),
    })
}

/// `text` as a line, if it tells the canary.
pub(crate) fn leak(text: &str) -> Option<String> {
    text.contains(CANARY).then(|| format!("told: {text:?}"))
}

/// Writes at once: nobody flushes a process of tests.
#[derive(Clone, Debug)]
pub(super) struct Lines(Arc<Mutex<File>>);

impl Lines {
    pub(super) fn write(&self, line: &str) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file.write_all(format!("{line}\n").as_bytes());
        written.expect("the file of spans can be written");
    }
}

/// Logs come one at a time, and those that tell the canary are written.
impl Write for Lines {
    fn write(&mut self, log: &[u8]) -> io::Result<usize> {
        if let Some(leak) = leak(&String::from_utf8_lossy(log)) {
            Self::write(self, &leak);
        }
        Ok(log.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
