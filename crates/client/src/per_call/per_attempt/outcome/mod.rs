//! Makes how an attempt ended a value: `Ok` or [`Err(Error)`](tower_micro_call::Error).
//!
//! A gRPC call that failed usually arrives as an HTTP 200 with the status in its headers. Outside of this layer it is an `Err`, as
//! in Go, so that wrappers, marks and the retry predicate all see the same thing.
//!
//! # Place in the stack
//! Innermost of an attempt, around the transport. Reads: the dialect, whether the method is unary. Leaves: nothing.
//!
//! # Units and defaults
//! A status in the headers decides. Else what has come with the headers is looked at, without waiting: trailers that travelled with
//! them decide too. For a method that is known to be unary the whole answer is waited for, up to 64 KiB, since its caller waits for
//! it anyway; a stream is never waited for, which could dead-lock it. What is not decided here is decided by the body, see
//! [`ResponseBody`](tower_micro_call::response). An undecodable `grpc-status-details-bin` is dropped before anybody can trip over it.
//! go-micro's error is read from the details, else from the message; in go-micro's dialects a status without one gets the form that
//! go-micro's client would give it.
//!
//! # Errors
//! The node's status, unchanged. UNKNOWN if it answers with a status that is no number, or ends without one; the code of the HTTP status
//! (gRPC `http-grpc-status-mapping.md`) if it answers with no gRPC at all.
//!
//! # Example
//! ```
//! use tower::ServiceBuilder;
//! use tower_micro_client::{OutcomeLayer, RetryLayer};
//!
//! # async fn stack() {
//! let channel = ServiceBuilder::new()
//!     .layer(RetryLayer::new())
//!     .layer(OutcomeLayer::new())
//!     .service(tonic::transport::Channel::from_static("http://127.0.0.1:50051").connect_lazy());
//! # }
//! ```
//!
//! # Not here
//! Waiting for the end of a stream: its body sees it.

mod layer;

#[cfg(test)]
mod tests;

pub use layer::{Outcome, OutcomeLayer, ResponseFuture};
