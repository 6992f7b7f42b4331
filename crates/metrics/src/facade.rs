//! The `metrics` facade, which Prometheus exporters and others listen to.
//!
//! # Units and defaults
//! | name | kind | unit |
//! |---|---|---|
//! | `rpc_client_call_duration_seconds` | histogram | s |
//! | `rpc_client_attempt_duration_seconds` | histogram | s |
//! | `rpc_client_call_retries` | histogram | retries of calls that had any |
//! | `rpc_client_active_calls` | gauge | calls |
//! | `rpc_server_call_duration_seconds` | histogram | s |
//!
//! Calls that are under way when the recorder is installed were never told to it as begun: install it before the first call, or its
//! gauge stands lower than it should by as many, for good.
//!
//! Labels: `method`, `service`, `status`; `error` on failure, `disposition` on failed attempts, `node` on attempts if it is to be named.
//!
//! # Example
//! ```
//! use std::sync::Arc;
//! use tower_micro_metrics::{CallMetricsLayer, Facade};
//!
//! let layer = CallMetricsLayer::new(Arc::new(Facade::new())); // tells whichever recorder is installed
//! # let _ = layer;
//! ```

use metrics::{Label, SharedString, gauge, histogram};

use crate::{Attempt, Call, Handled, Labels, Measure};

/// Tells the recorder that is installed. See the [module docs](self) for an example.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facade;

impl Facade {
    /// The recorder is asked for each number, so it can be installed later, when no call is under way.
    pub const fn new() -> Self {
        Self
    }
}

fn of(labels: &Labels) -> Vec<Label> {
    let method = SharedString::from_shared(labels.method.clone());
    let mut pairs = vec![Label::new("method", method)];
    if let Some(service) = &labels.service {
        pairs.push(Label::new("service", service.as_str().to_owned()));
    }
    pairs
}

fn ended(labels: &Labels, status: &'static str) -> Vec<Label> {
    let mut pairs = of(labels);
    pairs.push(Label::from_static_parts("status", status));
    pairs
}

fn add(pairs: &mut Vec<Label>, key: &'static str, value: Option<&'static str>) {
    pairs.extend(value.map(|value| Label::from_static_parts(key, value)));
}

impl Measure for Facade {
    fn call_began(&self, labels: &Labels) {
        gauge!("rpc_client_active_calls", of(labels)).increment(1.0);
    }

    fn call_ended(&self, call: &Call<'_>) {
        gauge!("rpc_client_active_calls", of(call.labels)).decrement(1.0);
        if call.attempts > 1 {
            let retries = f64::from(call.attempts - 1);
            histogram!("rpc_client_call_retries", of(call.labels)).record(retries);
        }
        let mut pairs = ended(call.labels, call.status);
        add(&mut pairs, "error", call.error);
        histogram!("rpc_client_call_duration_seconds", pairs).record(call.elapsed);
    }

    fn attempt_ended(&self, attempt: &Attempt<'_>) {
        let mut pairs = ended(attempt.labels, attempt.status);
        add(&mut pairs, "disposition", attempt.disposition);
        if let Some(node) = attempt.node {
            pairs.push(Label::new("node", node.to_owned()));
        }
        histogram!("rpc_client_attempt_duration_seconds", pairs).record(attempt.elapsed);
    }

    fn handled(&self, handled: &Handled<'_>) {
        let mut pairs = ended(handled.labels, handled.status);
        add(&mut pairs, "error", handled.error);
        histogram!("rpc_server_call_duration_seconds", pairs).record(handled.elapsed);
    }
}
