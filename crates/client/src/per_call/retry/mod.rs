//! Does a call that failed once more.
//!
//! Attempts follow one another, never overlap, and never outlive the call. The backoff is asked before each attempt, the first
//! included; the predicate after each failure, the last included; the last error is the result, unwrapped (go-micro v2
//! `client/grpc/grpc.go`, `Call`).
//!
//! # Place in the stack
//! Inside of the deadline, outside of pick: each attempt chooses its node anew. Call wrappers are inside: what they return is what
//! the predicate sees. Reads: options, [`Picker`](tower_micro_selector::Picker), [`Deadline`](tower_micro_call::Deadline). Leaves:
//! [`Attempt`](tower_micro_call::Attempt).
//!
//! # Units and defaults
//! As the [`Preset`](crate::Preset) says; without a note those of `Preset::Standard`, with a budget of this layer's own.
//!
//! # Errors
//! The last attempt's, with the number of attempts and the one before; the predicate's, if it failed.
//!
//! # Example
//! ```
//! use tower::ServiceBuilder;
//! use tower_micro_client::RetryLayer;
//!
//! # async fn stack() {
//! let channel = ServiceBuilder::new()
//!     .layer(RetryLayer::new())
//!     .service(tonic::transport::Channel::from_static("http://127.0.0.1:50051").connect_lazy());
//! // GreeterClient::new(channel)
//! # }
//! ```
//!
//! # Not here
//! How a request stream is kept: see [`Body::replayable`](tower_micro_call::Body::replayable). Hedging.

mod again;

mod backoff;

pub mod budget;

mod course;

mod future;

mod head;

mod layer;

mod policy;

mod pushback;

#[cfg(test)]
mod tests;

pub use backoff::{GoMicroBackoff, StandardBackoff};
pub use budget::RetryBudget;
pub use future::ResponseFuture;
pub use layer::{Retry, RetryLayer};
pub use policy::{RetryOnCodes, StandardPolicy};
