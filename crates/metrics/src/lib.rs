#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod client;
#[cfg(feature = "facade")]
pub mod facade;
pub mod handler;
mod measure;
pub mod methods;
#[cfg(feature = "otel")]
pub mod otel;

pub use client::{AttemptMetricsLayer, CallMetricsLayer};
#[cfg(feature = "facade")]
pub use facade::Facade;
pub use handler::HandlerMetricsLayer;
pub use measure::{Attempt, Call, Handled, Labels, Measure};
pub use methods::Methods;
#[cfg(feature = "otel")]
pub use otel::{Names, Otel};
