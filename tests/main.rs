//! The whole onion: over real servers on loopback, over scripted nodes, and against what go-micro was recorded doing.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop where it stands"
)]

mod arrows;
mod bad_input;
mod cancellation;
mod causes;
mod configure;
mod conformance;
mod deadline;
mod deadline_property;
mod differences;
mod documents;
mod drop_in;
mod garbage;
mod health;
mod hedging;
mod inbound;
mod interop;
mod metrics;
mod onion;
mod readiness;
mod retry;
mod selection;
mod shedding;
mod streams;
mod support;
mod tls;
mod tracing_chain;
mod tracing_collector;
mod tracing_ends;
mod tracing_export;
mod tracing_http;
mod tracing_interop;
mod tracing_secrets;
mod tracing_shape;
mod tracing_streams;
mod tracing_suite;
mod tracing_support;
mod tracing_table;
mod transport;
mod waiting;
mod wrapping;
