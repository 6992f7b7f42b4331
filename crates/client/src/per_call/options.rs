//! Settles the options of a call, and with them its deadline.
//!
//! # Place in the stack
//! Outermost of ours, inside of client wrappers, which may still add options.
//! Reads: [`CallOptions`] on the request, its `grpc-timeout` header, the [`ambient`] context. Leaves: the merged options and the
//! [`Deadline`].
//!
//! # Units and defaults
//! Preset, then client, then method, then ambient, then request. The deadline is the earliest of: the timeout in force, the caller's
//! `grpc-timeout`, the inbound deadline. In go-micro's dialects a deadline the caller came with replaces the timeout even if it is
//! later (`client/grpc/grpc.go`, `Call`). A stream has no timeout of its own: only what the caller came with ends it (go-micro #200),
//! or, in gRPC's dialect, the timeout among the options of the request.
//! A call is a stream if its options say so, or if its request body has not ended when it begins.
//!
//! # Errors
//! INVALID_ARGUMENT if the request carries a `grpc-timeout` that is not one, or options of its own that leave attempts no time.
//!
//! # Example
//! ```
//! use tower::ServiceBuilder;
//! use tower_micro_client::{OptionsLayer, Preset, RetryLayer};
//!
//! let channel = tonic::transport::Channel::from_static("http://127.0.0.1:50051");
//! # async fn stack(channel: tonic::transport::Endpoint) {
//! let channel = ServiceBuilder::new()
//!     .layer(OptionsLayer::new(Preset::Standard))
//!     .layer(RetryLayer::new())
//!     .service(channel.connect_lazy());
//! # }
//! ```
//!
//! # Not here
//! Holding the call to its deadline: see [`deadline`](super::deadline).

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use arc_swap::{ArcSwap, Cache};
use http::Request;
use tokio::time::Instant;
use tonic::Code;
use tower_layer::Layer;
use tower_micro_call::{
    Ambient, CallOptions, Deadline, Dialect, Error, Kind, Metadata, Notes, Replay, ambient, header,
    timeout::grpc_timeout,
};
use tower_service::Service;

use crate::{Preset, Settings, answer::ResponseFuture, settings};

/// Makes [`Options`] services. See the [module docs](self) for an example.
#[derive(Clone, Debug)]
pub struct OptionsLayer {
    settings: Arc<ArcSwap<Settings>>,
}

impl OptionsLayer {
    /// The options of `preset`.
    pub fn new(preset: Preset) -> Self {
        Self::live(Arc::new(ArcSwap::from_pointee(Settings::new(preset))))
    }

    /// Settings that may change while calls are made.
    pub(crate) const fn live(settings: Arc<ArcSwap<Settings>>) -> Self {
        Self { settings }
    }
}

impl<S> Layer<S> for OptionsLayer {
    type Service = Options<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Options {
            inner,
            settings: Cache::new(Arc::clone(&self.settings)),
        }
    }
}

/// Settles the options of a call.
#[derive(Clone, Debug)]
pub struct Options<S> {
    inner: S,
    /// Looks for a change with one load, and counts no references.
    settings: Cache<Arc<ArcSwap<Settings>>, Arc<Settings>>,
}

impl<S> Options<S> {
    fn settle<B: Replay>(&mut self, request: &mut Request<B>) -> Result<(), Error> {
        let ambient = ambient::current();
        let path = request.uri().path();
        let mut options = self.of_method(path, ambient.as_deref());
        let mut requested = None;
        if let Some(asked) = request.extensions_mut().remove::<CallOptions>() {
            requested = asked.get_timeout();
            check(&asked, &options)?;
            options = Arc::new(options.merged(asked));
        }
        if ambient.as_ref().is_some_and(|ambient| ambient.is_retry) && !retries_within(&options) {
            options = Arc::new(CallOptions::clone(&options).retries(0));
        }
        let options = streaming_if_open(options, request.body());
        let now = Instant::now();
        let own = own_timeout(&options, requested);
        let deadline = deadline_of(request, options.spoken(), own, ambient.as_deref(), now)?;
        Notes::of_mut(request).settle(options, deadline, now);
        Ok(())
    }

    /// Shares the client's own options with every call that asks for nothing else.
    fn of_method(&mut self, path: &str, ambient: Option<&Ambient>) -> Arc<CallOptions> {
        let options = self.settings.load().of_method(path);
        match ambient.filter(|ambient| !ambient.metadata.is_empty()) {
            Some(ambient) => {
                let inbound = CallOptions::new().metadata(said(&ambient.metadata));
                Arc::new(options.merged(inbound))
            }
            None => Arc::clone(options),
        }
    }
}

/// Refuses what a client would not be built with.
fn check(asked: &CallOptions, of_client: &CallOptions) -> Result<(), Error> {
    settings::check_request(asked, of_client)
        .map_err(|refused| Error::new(Kind::Request, Code::InvalidArgument, refused.to_string()))
}

/// What came with a value. One without is no wish to take out what this client sends.
fn said(inbound: &Metadata) -> Metadata {
    let mut said = inbound.clone();
    for (key, _) in inbound.iter().filter(|(_, value)| value.is_empty()) {
        said.remove(key);
    }
    said
}

/// Whether a call made while a retry is served may be retried: go-micro knows no other way.
fn retries_within(options: &CallOptions) -> bool {
    let within = options.get_retry_within_retry();
    within.unwrap_or(options.spoken().is_go_micro())
}

/// A body that has not ended when the call begins is a stream.
fn streaming_if_open<B: Replay>(options: Arc<CallOptions>, body: &B) -> Arc<CallOptions> {
    if options.get_streaming().is_some() || body.has_ended() != Some(false) {
        return options;
    }
    Arc::new(CallOptions::clone(&options).streaming(true))
}

/// What was set for calls is not meant for a stream; what this request asks for is. go-micro's stream looks at neither.
fn own_timeout(options: &CallOptions, requested: Option<Duration>) -> Option<Duration> {
    match options.get_streaming() {
        Some(true) => requested.filter(|_| !options.spoken().is_go_micro()),
        _ => options.get_timeout(),
    }
}

fn deadline_of<B>(
    request: &Request<B>,
    dialect: Dialect,
    own: Option<Duration>,
    ambient: Option<&Ambient>,
    now: Instant,
) -> Result<Option<Deadline>, Error> {
    let own = own.map(|timeout| Deadline::after(timeout, now));
    let asked = asked_timeout(request)?.map(|timeout| Deadline::after(timeout, now));
    if asked.is_none() && ambient.is_none() {
        return Ok(own);
    }
    let inbound = ambient
        .and_then(|ambient| ambient.deadline)
        .map(|at| Deadline::at(at, now));
    let came_with = earlier(asked, inbound);
    Ok(if dialect.is_go_micro() {
        came_with.or(own)
    } else {
        earlier(came_with, own)
    })
}

fn earlier(one: Option<Deadline>, other: Option<Deadline>) -> Option<Deadline> {
    match (one, other) {
        (Some(one), Some(other)) if other.instant() < one.instant() => Some(other),
        (one, other) => one.or(other),
    }
}

/// What the caller set with [`tonic::Request::set_timeout`].
fn asked_timeout<B>(request: &Request<B>) -> Result<Option<Duration>, Error> {
    let Some(value) = header::find(request.headers(), &header::GRPC_TIMEOUT) else {
        return Ok(None);
    };
    grpc_timeout::parse(value)
        .map(Some)
        .map_err(|invalid| Error::new(Kind::Request, Code::InvalidArgument, invalid.to_string()))
}

impl<S, B> Service<Request<B>> for Options<S>
where
    S: Service<Request<B>>,
    S::Error: Into<Error>,
    B: Replay,
{
    type Response = S::Response;
    type Error = Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.settle(&mut request) {
            Ok(()) => ResponseFuture::Calling(self.inner.call(request)),
            Err(error) => ResponseFuture::refused(error),
        }
    }
}
