//! Pictures of a trace, and of the onion with the time spent in each of its rings.
//!
//! A [`Recorder`] keeps the last spans of a program; a [`Trace`] is one of the trees they form. It is drawn as a waterfall: text for a
//! terminal or a test ([`Trace::waterfall`]), SVG or a page of HTML for people, with nothing to be loaded from anywhere.
//!
//! # Units and defaults
//! The same spans make the same picture, to the letter: rows stand in the order of their beginnings, times count from the first.
//! A recorder keeps 4096 spans and forgets the oldest first.
//!
//! # Example
//! ```
//! use opentelemetry::trace::{Tracer, TracerProvider};
//! use opentelemetry_sdk::trace::SdkTracerProvider;
//! use tower_micro_trace::picture::Recorder;
//!
//! let recorder = Recorder::new();
//! let provider = SdkTracerProvider::builder().with_simple_exporter(recorder.clone()).build();
//! provider.tracer("example").in_span("work", |_| ());
//! let traces = recorder.traces();
//! assert!(traces[0].waterfall().starts_with("work  ├─"));
//! ```
//!
//! # Not here
//! A place to keep traces of many processes: that is a collector's.

mod onion;
mod recorder;
mod scale;
mod svg;
#[cfg(test)]
mod tests;
mod trace;
mod waterfall;

pub use onion::onion;
pub use recorder::Recorder;
pub use trace::Trace;
