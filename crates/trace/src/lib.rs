#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod attempt;
pub mod call;
mod ending;
pub mod handler;
pub mod http;
mod names;
#[cfg(feature = "picture")]
pub mod picture;
pub mod propagation;
mod settings;
mod traced;

#[doc(inline)]
pub use tower_micro_observe::attributes;

pub use attempt::{AttemptTraceLayer, Attempts};
pub use call::CallTraceLayer;
pub use handler::HandlerTraceLayer;
pub use http::{HttpCallTraceLayer, HttpHandlerTraceLayer};
pub use names::Names;
pub use propagation::{Format, Propagation};
