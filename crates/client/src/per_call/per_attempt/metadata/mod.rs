//! Writes what an attempt sends besides its message: metadata, and how long the node has.
//!
//! # Place in the stack
//! Inside of the attempt's timeout, just outside of the outcome, so that what call wrappers put on the request stands. Reads:
//! options, [`Deadline`], the attempt's number and time. Leaves: headers.
//!
//! # Units and defaults
//! A retry says how many attempts came before, in `grpc-previous-rpc-attempts` (gRFC A6). `grpc-timeout` is what remains of the call,
//! or of the attempt if that is less, rounded up; it shrinks from attempt to attempt. Of a stream it is what remains of the call: its
//! attempt's time is for the opening alone.
//!
//! In go-micro's dialects also `timeout`, the whole time of the call in nanoseconds (of a stream: its `stream_timeout`), the same on
//! every attempt, and `x-content-type` (`client/grpc/grpc.go`, `call` and `stream`).
//!
//! A header that is on the request already wins over metadata of the options.
//!
//! # Errors
//! None.
//!
//! # Example
//! ```
//! use tower::ServiceBuilder;
//! use tower_micro_client::{MetadataLayer, OptionsLayer, Preset};
//!
//! # async fn stack() {
//! let channel = ServiceBuilder::new()
//!     .layer(OptionsLayer::new(Preset::Standard))
//!     .layer(MetadataLayer::new())
//!     .service(tonic::transport::Channel::from_static("http://127.0.0.1:50051").connect_lazy());
//! # }
//! ```
//!
//! # Not here
//! `:authority`, which is the connection's.

mod last;

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, Request};
use tower_layer::Layer;
use tower_micro_call::{CallOptions, Deadline, Notes, header, timeout::format_nanoseconds};
use tower_service::Service;

use last::LastTimeout;

/// go-micro's default for its gRPC client.
const GRPC_PROTO: HeaderValue = HeaderValue::from_static("application/grpc+proto");

/// Makes [`WriteMetadata`] services. See the [module docs](self) for an example.
#[derive(Clone, Copy, Debug, Default)]
pub struct MetadataLayer;

impl MetadataLayer {
    /// Writes what the notes hold.
    pub const fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for MetadataLayer {
    type Service = WriteMetadata<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let timeout = LastTimeout::default();
        WriteMetadata { inner, timeout }
    }
}

/// Writes what an attempt sends besides its message.
#[derive(Clone, Debug)]
pub struct WriteMetadata<S> {
    inner: S,
    timeout: LastTimeout,
}

/// Whether there is more to write than a timeout.
#[inline]
fn has_more(notes: &Notes) -> bool {
    let says = |options: &Arc<CallOptions>| {
        !options.get_metadata().is_empty() || options.spoken().is_go_micro()
    };
    notes.attempt().number > 0 || notes.options().is_some_and(says)
}

/// The headers are put aside meanwhile, since they and the notes are both the request's.
fn write_more<B: 'static>(request: &mut Request<B>) {
    let mut headers = std::mem::take(request.headers_mut());
    if let Some(notes) = Notes::of(request) {
        write(&mut headers, notes);
    }
    *request.headers_mut() = headers;
}

fn write(headers: &mut HeaderMap, notes: &Notes) {
    if let Some(options) = notes.options() {
        options.get_metadata().write_to(headers);
        if options.spoken().is_go_micro() {
            write_go_micro(headers, options, notes.deadline());
        }
    }
    let attempt = notes.attempt().number;
    if attempt > 0 {
        headers.insert(header::GRPC_PREVIOUS_RPC_ATTEMPTS, attempt.into());
    }
}

fn write_go_micro(headers: &mut HeaderMap, options: &CallOptions, deadline: Option<Deadline>) {
    headers.entry(header::X_CONTENT_TYPE).or_insert(GRPC_PROTO);
    let timeout = match options.get_streaming() {
        Some(true) => options.get_stream_timeout(),
        _ => deadline.map(|deadline| deadline.timeout()),
    };
    if let Some(timeout) = timeout.filter(|timeout| !timeout.is_zero()) {
        headers.insert(header::TIMEOUT, format_nanoseconds(timeout));
    }
}

fn is_stream(notes: &Notes) -> bool {
    let options = notes.options();
    options.is_some_and(|options| options.get_streaming() == Some(true))
}

fn time_left(notes: &Notes) -> Option<Duration> {
    let timeout = notes.attempt().timeout;
    // The node would end an open stream when the time is over in which it had to be opened.
    let timeout = timeout.filter(|_| !is_stream(notes));
    match (notes.time_left(), timeout) {
        (Some(call), Some(attempt)) => Some(call.min(attempt)),
        (call, attempt) => call.or(attempt),
    }
}

impl<S, B> Service<Request<B>> for WriteMetadata<S>
where
    B: 'static,
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        let notes = Notes::of(&request);
        let timeout = notes.and_then(time_left);
        let more = notes.is_some_and(has_more);
        if timeout.is_none() && !more {
            return self.inner.call(request);
        }
        if more {
            write_more(&mut request);
        }
        if let Some(timeout) = timeout {
            let header = self.timeout.header(timeout);
            request.headers_mut().insert(header::GRPC_TIMEOUT, header);
        }
        self.inner.call(request)
    }
}
