//! A wrapper that is a function: `async fn(cx, request, next)`.
//!
//! [`CallWrapper`] is what a request or a client's live options can carry, where the stack's types are settled already. A wrapper
//! known when the client is built is better a [`tower_layer::Layer`](https://docs.rs/tower-layer), which costs no allocation.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use http::{Request, Response};
use tower_micro_registry::ServiceName;
use tower_micro_selector::Candidate;

use crate::{Attempt, Body, CallOptions, Deadline, Error, Notes, ResponseBody};

/// A future in a box.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

type Answer = Result<Response<ResponseBody>, Error>;

/// What a wrapper may know of the call: the notes that were there when it was entered.
#[derive(Clone, Debug, Default)]
pub struct Context {
    notes: Notes,
    path: String,
}

impl Context {
    /// The context of `request`.
    pub fn of<B: 'static>(request: &Request<B>) -> Self {
        Self {
            notes: Notes::of(request).cloned().unwrap_or_default(),
            path: request.uri().path().to_owned(),
        }
    }

    /// The gRPC path, `/package.Service/Method`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The service as the caller named it; known to all wrappers.
    pub fn service(&self) -> Option<&ServiceName> {
        self.notes.service()
    }

    /// The node of this attempt; known to call wrappers.
    pub fn node(&self) -> Option<&Arc<Candidate>> {
        self.notes.node()
    }

    /// Which try this is; the first for client wrappers.
    pub const fn attempt(&self) -> &Attempt {
        self.notes.attempt()
    }

    /// When the call ends; known to call wrappers.
    pub fn deadline(&self) -> Option<Deadline> {
        self.notes.deadline()
    }

    /// The options in force; known to call wrappers.
    pub fn options(&self) -> Option<&CallOptions> {
        self.notes.options().map(Arc::as_ref)
    }
}

/// What is inside of a wrapper. It can be run any number of times, or not at all.
pub struct Next<B = Body>(Arc<dyn Fn(Request<B>) -> BoxFuture<Answer> + Send + Sync>);

impl<B> Next<B> {
    /// From a function.
    pub fn new(run: impl Fn(Request<B>) -> BoxFuture<Answer> + Send + Sync + 'static) -> Self {
        Self(Arc::new(run))
    }

    /// Sends the request on, and resolves to however the inside of this wrapper ends.
    pub fn run(&self, request: Request<B>) -> BoxFuture<Answer> {
        (self.0)(request)
    }
}

impl<B> Clone for Next<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B> fmt::Debug for Next<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Next")
    }
}

/// A wrapper around each attempt that a request or live options can carry: go-micro's `CallWrapper`.
pub trait CallWrapper: Send + Sync {
    /// Handles one attempt.
    fn wrap(&self, cx: Context, request: Request<Body>, next: Next) -> BoxFuture<Answer>;
}

impl<F, Fut> CallWrapper for F
where
    F: Fn(Context, Request<Body>, Next) -> Fut + Send + Sync,
    Fut: Future<Output = Answer> + Send + 'static,
{
    fn wrap(&self, cx: Context, request: Request<Body>, next: Next) -> BoxFuture<Answer> {
        Box::pin(self(cx, request, next))
    }
}
