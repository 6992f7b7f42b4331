//! Does a call that failed once more.
//!
//! Attempts follow one another, and never outlive the call. The backoff is asked before each attempt, the first included; the
//! predicate after each failure, the last included; the last error is the result, unwrapped (go-micro v2 `client/grpc/grpc.go`,
//! `Call`). Where the options ask for a [`Hedge`](tower_micro_call::Hedge), a call that is not answered in time is sent to another
//! node beside the first, and the first good answer is the call's (gRFC A6, "Hedging Policy"): a failure that the predicate would
//! repeat, and that of an attempt that never left, is waited out while another one is under way, any other ends the call.
//!
//! # Place in the stack
//! Inside of the deadline, outside of pick: each attempt chooses its node anew. Call wrappers are inside: what they return is what
//! the predicate sees. Reads: options, [`Picker`](tower_micro_selector::Picker), [`Deadline`](tower_micro_call::Deadline), the service.
//! Leaves: [`Attempt`](tower_micro_call::Attempt).
//!
//! A call that [waits](tower_micro_call::CallOptions::wait_for_ready) for a node is sent again, free and uncounted, for as long as no
//! node of its set can be connected to.
//!
//! # Units and defaults
//! As the [`Preset`](crate::Preset) says; without a note those of `Preset::Standard`, with a budget of this layer's own. By itself it
//! therefore repeats what no node has acted on, and no more: say [`RetryLayer::with_options`] that calls are idempotent, or put an
//! [`OptionsLayer`](crate::OptionsLayer) outside, which reads what a request says of itself.
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
//! How a request stream is kept: see [`Body::replayable`](tower_micro_call::Body::replayable).

mod again;

mod backoff;

pub mod budget;

mod course;

mod future;

mod head;

mod hedges;

mod layer;

mod policy;

mod pushback;

mod template;

#[cfg(test)]
mod tests;

pub use backoff::{GoMicroBackoff, StandardBackoff};
pub use budget::RetryBudget;
pub use future::ResponseFuture;
pub use layer::{Retry, RetryLayer};
pub use policy::{RetryOnCodes, StandardPolicy};
