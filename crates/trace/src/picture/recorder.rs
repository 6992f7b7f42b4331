//! The last spans of a program.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter},
};

use super::Trace;

const LIMIT: usize = 4096;

/// Keeps the spans that have ended. Clones share them. See the [module docs](super) for an example.
#[derive(Clone, Debug)]
pub struct Recorder {
    spans: Arc<Mutex<VecDeque<SpanData>>>,
    limit: usize,
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

impl Recorder {
    /// Keeps the last 4096.
    pub fn new() -> Self {
        Self::up_to(LIMIT)
    }

    /// Keeps the last `limit`.
    pub fn up_to(limit: usize) -> Self {
        let spans = Arc::default();
        Self { spans, limit }
    }

    /// The traces of the spans that are kept, in the order of their beginnings.
    pub fn traces(&self) -> Vec<Trace> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        Trace::all(spans.iter())
    }
}

impl SpanExporter for Recorder {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.extend(batch);
        let surplus = spans.len().saturating_sub(self.limit);
        spans.drain(..surplus);
        Ok(())
    }
}
