//! Instruments of OpenTelemetry's API.
//!
//! # Units and defaults
//! | [`Names::Otel`] (default) | [`Names::Grpc`] (gRFC A66, A96) | unit |
//! |---|---|---|
//! | `rpc.client.call.duration` | `grpc.client.call.duration` | s |
//! | `tower_micro.client.attempt.duration` | `grpc.client.attempt.duration` | s |
//! | - | `grpc.client.attempt.started` | {attempt} |
//! | `tower_micro.client.call.retries`, of calls that had any | `grpc.client.call.retries` | {retry} |
//! | `tower_micro.client.active_calls` | - | {call} |
//! | `rpc.server.call.duration` | `grpc.server.call.duration` | s |
//!
//! Durations have the boundaries of their convention: 14 from 5 ms to 10 s, or A66's 41 from 10 µs to 100 s. Attributes are method,
//! service and status; on failure its kind, on attempts whether the node may have acted on it, and the node if it is to be named. Methods
//! beyond the limit are `_OTHER` in OpenTelemetry's names, `other` in gRPC's.
//!
//! # Example
//! ```
//! use tower_micro_metrics::{Names, Otel};
//!
//! let meter = opentelemetry::global::meter("my-program");
//! let (otel, grpc) = (Otel::new(&meter), Otel::named(Names::Grpc, &meter));
//! # let _ = (otel, grpc);
//! ```
//!
//! # Not here
//! A meter provider and its readers, which are your program's. Nothing falls back to a global one (A66).

use opentelemetry::{
    KeyValue, StringValue, Value,
    metrics::{Counter, Histogram, Meter, UpDownCounter},
};
use tower_micro_observe::attributes;

use crate::{Attempt, Call, Handled, Labels, Measure, methods::OTHER};

/// Semantic conventions for RPC metrics.
const OTEL_BOUNDARIES: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// gRFC A66, "Metrics Schema".
const GRPC_BOUNDARIES: [f64; 41] = [
    0.0, 0.00001, 0.00005, 0.0001, 0.0003, 0.0006, 0.0008, 0.001, 0.002, 0.003, 0.004, 0.005,
    0.006, 0.008, 0.01, 0.013, 0.016, 0.02, 0.025, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1, 0.13, 0.16,
    0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0,
];

/// A96.
const RETRIES: [f64; 5] = [1.0, 2.0, 3.0, 4.0, 5.0];

/// Whose names instruments have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Names {
    /// OpenTelemetry's, and `tower_micro.…` for what it has no name for.
    #[default]
    Otel,
    /// gRPC's.
    Grpc,
}

/// Keeps the numbers in instruments of a [`Meter`]. See the [module docs](self) for an example.
#[derive(Debug)]
pub struct Otel {
    words: &'static Words,
    call: Histogram<f64>,
    attempt: Histogram<f64>,
    started: Option<Counter<u64>>,
    retries: Histogram<u64>,
    active: Option<UpDownCounter<i64>>,
    handled: Histogram<f64>,
}

/// The words of a convention.
#[derive(Debug)]
struct Words {
    call: &'static str,
    attempt: &'static str,
    retries: &'static str,
    handled: &'static str,
    system: Option<&'static str>,
    method: &'static str,
    service: &'static str,
    status: &'static str,
    error: Option<&'static str>,
    disposition: Option<&'static str>,
    /// The method that stands for those beyond the limit.
    other: &'static str,
}

const OTEL: Words = Words {
    call: "rpc.client.call.duration",
    attempt: "tower_micro.client.attempt.duration",
    retries: "tower_micro.client.call.retries",
    handled: "rpc.server.call.duration",
    system: Some(attributes::SYSTEM),
    method: attributes::METHOD,
    service: attributes::SERVER_ADDRESS,
    status: attributes::STATUS_CODE,
    error: Some(attributes::ERROR_TYPE),
    disposition: Some(attributes::DISPOSITION),
    other: attributes::OTHER,
};

const GRPC: Words = Words {
    call: "grpc.client.call.duration",
    attempt: "grpc.client.attempt.duration",
    retries: "grpc.client.call.retries",
    handled: "grpc.server.call.duration",
    system: None,
    method: "grpc.method",
    service: "grpc.target",
    status: "grpc.status",
    error: None,
    disposition: None,
    other: OTHER,
};

impl Otel {
    /// Instruments of `meter`, with OpenTelemetry's names.
    pub fn new(meter: &Meter) -> Self {
        Self::named(Names::Otel, meter)
    }

    /// Instruments of `meter`.
    pub fn named(names: Names, meter: &Meter) -> Self {
        let (words, boundaries) = match names {
            Names::Otel => (&OTEL, OTEL_BOUNDARIES.to_vec()),
            Names::Grpc => (&GRPC, GRPC_BOUNDARIES.to_vec()),
        };
        let seconds = |name: &'static str, what: &'static str| {
            let histogram = meter.f64_histogram(name).with_unit("s");
            let histogram = histogram.with_boundaries(boundaries.clone());
            histogram.with_description(what).build()
        };
        let retries = meter.u64_histogram(words.retries).with_unit("{retry}");
        let retries = retries.with_boundaries(RETRIES.to_vec());
        let started = meter.u64_counter("grpc.client.attempt.started");
        let active = meter.i64_up_down_counter("tower_micro.client.active_calls");
        Self {
            words,
            call: seconds(words.call, "The time of a call, all attempts included."),
            attempt: seconds(words.attempt, "The time of an attempt."),
            started: (names == Names::Grpc).then(|| started.with_unit("{attempt}").build()),
            retries: retries
                .with_description("Retries of calls that had any.")
                .build(),
            active: (names == Names::Otel).then(|| active.with_unit("{call}").build()),
            handled: seconds(words.handled, "The time of a call that was handled."),
        }
    }
}

impl Words {
    fn of(&self, labels: &Labels) -> Vec<KeyValue> {
        let mut pairs = Vec::with_capacity(6);
        pairs.extend(self.system.map(|key| KeyValue::new(key, "grpc")));
        let method = match &*labels.method {
            OTHER => StringValue::from(self.other),
            _ => StringValue::from(labels.method.clone()),
        };
        pairs.push(KeyValue::new(self.method, Value::String(method)));
        if let Some(service) = &labels.service {
            let service = service.as_str().to_owned();
            pairs.push(KeyValue::new(self.service, service));
        }
        pairs
    }

    fn ended(&self, labels: &Labels, status: &'static str) -> Vec<KeyValue> {
        let mut pairs = self.of(labels);
        pairs.push(KeyValue::new(self.status, status));
        pairs
    }
}

fn add(pairs: &mut Vec<KeyValue>, key: Option<&'static str>, value: Option<&'static str>) {
    if let (Some(key), Some(value)) = (key, value) {
        pairs.push(KeyValue::new(key, value));
    }
}

impl Measure for Otel {
    fn call_began(&self, labels: &Labels) {
        if let Some(active) = &self.active {
            active.add(1, &self.words.of(labels));
        }
    }

    fn call_ended(&self, call: &Call<'_>) {
        let began = self.words.of(call.labels);
        if let Some(active) = &self.active {
            active.add(-1, &began);
        }
        if call.attempts > 1 {
            self.retries.record(u64::from(call.attempts - 1), &began);
        }
        let mut pairs = began;
        pairs.push(KeyValue::new(self.words.status, call.status));
        add(&mut pairs, self.words.error, call.error);
        self.call.record(call.elapsed.as_secs_f64(), &pairs);
    }

    fn attempt_began(&self, labels: &Labels) {
        if let Some(started) = &self.started {
            started.add(1, &self.words.of(labels));
        }
    }

    fn attempt_ended(&self, attempt: &Attempt<'_>) {
        let mut pairs = self.words.ended(attempt.labels, attempt.status);
        add(&mut pairs, self.words.disposition, attempt.disposition);
        if let Some(node) = attempt.node {
            pairs.push(KeyValue::new(attributes::NODE, node.to_owned()));
        }
        self.attempt.record(attempt.elapsed.as_secs_f64(), &pairs);
    }

    fn handled(&self, handled: &Handled<'_>) {
        let mut pairs = self.words.ended(handled.labels, handled.status);
        add(&mut pairs, self.words.error, handled.error);
        self.handled.record(handled.elapsed.as_secs_f64(), &pairs);
    }
}
