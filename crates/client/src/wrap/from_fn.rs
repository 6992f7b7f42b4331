//! An `async fn(cx, request, next)` as a layer.
//!
//! # Place in the stack
//! Any door: around the call, around each attempt, or in a `ServiceBuilder` of your own. `cx` holds the notes that are there.
//!
//! # Units and defaults
//! Three allocations each time it runs: the boxed inside, a copy of the path for `cx`, and the text of `grpc-timeout`, since what it runs
//! is a fresh clone, which does not know the last one. A [`Layer`] of your own costs none.
//!
//! # Errors
//! Whatever the function returns.
//!
//! # Example
//! ```
//! use http::{Request, Response};
//! use tower_micro_call::{AnswerBody, Body, Context, Error, Next, ResponseBody};
//! use tower_micro_client::{Client, from_fn};
//!
//! async fn audit(
//!     cx: Context,
//!     request: Request<Body>,
//!     next: Next,
//! ) -> Result<Response<ResponseBody>, Error> {
//!     let answer = next.run(request).await;
//!     println!("{} {}", cx.path(), if answer.is_ok() { "went well" } else { "failed" });
//!     answer
//! }
//!
//! let builder = Client::builder().wrap_client(from_fn(audit));
//! # let _ = builder;
//! ```
//!
//! # Not here
//! Wrappers of one request: see [`CallOptions::call_wrapper`](tower_micro_call::CallOptions::call_wrapper).

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_layer::Layer;
use tower_micro_call::{AnswerBody, Context as CallContext, Error, Next, ResponseBody};
use tower_service::Service;

use crate::per_call::per_attempt::wrappers::next;

type Answer = Result<Response<ResponseBody>, Error>;

/// Makes a layer of `function`. See the [module docs](self) for an example.
pub fn from_fn<F, B, Fut>(function: F) -> FromFnLayer<F, B, Fut>
where
    F: Fn(CallContext, Request<B>, Next<B>) -> Fut,
    Fut: Future<Output = Answer>,
{
    FromFnLayer {
        function: Arc::new(function),
        types: PhantomData,
    }
}

/// Makes [`FromFn`] services. See the [module docs](self) for an example.
pub struct FromFnLayer<F, B, Fut> {
    function: Arc<F>,
    types: PhantomData<fn(B) -> Fut>,
}

impl<F, B, Fut> Clone for FromFnLayer<F, B, Fut> {
    fn clone(&self) -> Self {
        Self {
            function: Arc::clone(&self.function),
            types: PhantomData,
        }
    }
}

impl<F, B, Fut> fmt::Debug for FromFnLayer<F, B, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from_fn({})", std::any::type_name::<F>())
    }
}

impl<S, F, B, Fut, RB> Layer<S> for FromFnLayer<F, B, Fut>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone + Send + Sync + 'static,
    S::Error: Into<Error>,
    S::Future: Send,
    B: Send + 'static,
    RB: AnswerBody,
{
    type Service = FromFn<F, B, Fut>;

    fn layer(&self, inner: S) -> Self::Service {
        FromFn {
            next: next(inner),
            layer: self.clone(),
        }
    }
}

/// Runs a function around the inner service.
pub struct FromFn<F, B, Fut> {
    next: Next<B>,
    layer: FromFnLayer<F, B, Fut>,
}

impl<F, B, Fut> Clone for FromFn<F, B, Fut> {
    fn clone(&self) -> Self {
        Self {
            next: self.next.clone(),
            layer: self.layer.clone(),
        }
    }
}

impl<F, B, Fut> fmt::Debug for FromFn<F, B, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.layer.fmt(f)
    }
}

impl<F, B, Fut> Service<Request<B>> for FromFn<F, B, Fut>
where
    B: 'static,
    F: Fn(CallContext, Request<B>, Next<B>) -> Fut,
    Fut: Future<Output = Answer>,
{
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = Fut;

    // The inside is made ready when the function runs it, if it does.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Fut {
        let cx = CallContext::of(&request);
        (self.layer.function)(cx, request, self.next.clone())
    }
}
