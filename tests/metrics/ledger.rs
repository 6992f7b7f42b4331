//! The other side of the `metrics` facade.

use std::sync::{Arc, Mutex};

use metrics::{
    Counter, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

use super::Series;

/// A recorder of the facade that writes down what it is told.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger(pub(super) Arc<Mutex<Series>>);

impl Ledger {
    fn page(&self, key: &Key) -> Page {
        let labels = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()));
        let name = format!("{}{{{}}}", key.name(), labels.collect::<Vec<_>>().join(","));
        Page(self.clone(), name)
    }
}

struct Page(Ledger, String);

impl Page {
    fn add(&self, count: i64, value: f64) {
        let mut series = self.0.0.lock().unwrap();
        let entry = series.entry(self.1.clone()).or_default();
        *entry = (entry.0 + count, entry.1 + value);
    }
}

impl HistogramFn for Page {
    fn record(&self, value: f64) {
        self.add(1, value);
    }
}

impl GaugeFn for Page {
    fn increment(&self, value: f64) {
        self.add(0, value);
    }

    fn decrement(&self, value: f64) {
        self.add(0, -value);
    }

    fn set(&self, _: f64) {
        unreachable!("nothing is set");
    }
}

impl Recorder for Ledger {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        unreachable!("there are no counters")
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(self.page(key)))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(self.page(key)))
    }
}
