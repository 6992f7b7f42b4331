//! Runs the call wrappers that options carry: those of one request, and those that were added while the client runs.
//!
//! They are functions, in a list. A wrapper that is known when the client is built stands in the stack by its type instead
//! ([`ClientBuilder::wrap_call`](crate::ClientBuilder::wrap_call)) and costs no allocation.
//!
//! # Place in the stack
//! Inside of the client's own call wrappers (go-micro appends `WithCallWrapper` to the client's list), outside of the attempt's
//! timeout. Reads: [`CallOptions::call_wrapper`](tower_micro_call::CallOptions::call_wrapper).
//!
//! # Units and defaults
//! First is outermost. An empty list costs one look.
//!
//! # Errors
//! Whatever a wrapper returns.
//!
//! # Example
//! ```
//! use tower_micro_call::{AnswerBody, CallOptions, Context, Next, RequestExt};
//!
//! let options = CallOptions::new().call_wrapper(
//!     |cx: Context, request, next: Next| async move {
//!         println!("attempt {} goes to {:?}", cx.attempt().number, cx.node());
//!         next.run(request).await
//!     },
//! );
//! let request = tonic::Request::new(()).with_options(options);
//! # let _ = request;
//! ```
//!
//! Such functions know the onion's own bodies. By itself the layer needs them put in and taken out, and the options settled:
//! ```
//! use http::{Request, Response};
//! use tower::ServiceBuilder;
//! use tower_micro_call::{Body, Replay, ResponseBody};
//! use tower_micro_client::{CallWrappersLayer, OptionsLayer, Preset};
//!
//! # async fn stack() {
//! let channel = ServiceBuilder::new()
//!     .map_request(|request: Request<tonic::body::Body>| request.map(Replay::capture))
//!     .layer(OptionsLayer::new(Preset::Standard))
//!     .layer(CallWrappersLayer::new())
//!     .map_request(|request: Request<Body>| request.map(tonic::body::Body::restore))
//!     .map_response(|response: Response<tonic::body::Body>| response.map(ResponseBody::from))
//!     .service(tonic::transport::Channel::from_static("http://127.0.0.1:50051").connect_lazy());
//! # }
//! ```

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use pin_project::pin_project;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_micro_call::{
    AnswerBody, Body, BoxFuture, CallOptions, CallWrapper, Context as CallContext, Disposition,
    Error, Next, Notes, ResponseBody,
};
use tower_service::Service;

/// Makes [`CallWrappers`] services. See the [module docs](self) for an example.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallWrappersLayer;

impl CallWrappersLayer {
    /// Runs whatever the options carry.
    pub const fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for CallWrappersLayer {
    type Service = CallWrappers<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CallWrappers { inner }
    }
}

/// Runs the call wrappers that options carry.
#[derive(Clone, Debug)]
pub struct CallWrappers<S> {
    inner: S,
}

type Answer = Result<Response<ResponseBody>, Error>;

impl<S> Service<Request<Body>> for CallWrappers<S>
where
    S: Service<Request<Body>, Response = Response<ResponseBody>>,
    S: Clone + Send + Sync + 'static,
    S::Error: Into<Error>,
    S::Future: Send,
{
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let options = Notes::of(&request).and_then(Notes::options);
        match options.filter(|options| !options.get_call_wrappers().is_empty()) {
            None => ResponseFuture::Calling(self.inner.call(request)),
            Some(options) => {
                let options = Arc::clone(options);
                // A wrapper may run the inside any number of times and makes it ready each time: what was reserved for one is given back.
                self.inner = self.inner.clone();
                ResponseFuture::Wrapped(self.through(&options).run(request))
            }
        }
    }
}

impl<S> CallWrappers<S>
where
    S: Service<Request<Body>, Response = Response<ResponseBody>>,
    S: Clone + Send + Sync + 'static,
    S::Error: Into<Error>,
    S::Future: Send,
{
    /// The inner service inside of all wrappers, built from the inside out.
    fn through(&self, options: &CallOptions) -> Next {
        let wrappers = options.get_call_wrappers().iter().rev();
        wrappers.fold(next(self.inner.clone()), |next, wrapper| {
            inside(wrapper, next)
        })
    }
}

fn inside(wrapper: &Arc<dyn CallWrapper>, next: Next) -> Next {
    let wrapper = Arc::clone(wrapper);
    Next::new(move |request| wrapper.wrap(CallContext::of(&request), request, next.clone()))
}

/// A service as something a wrapper function can run.
pub(crate) fn next<S, B, RB>(inner: S) -> Next<B>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone + Send + Sync + 'static,
    S::Error: Into<Error>,
    S::Future: Send,
    B: Send + 'static,
    RB: AnswerBody,
{
    Next::new(move |mut request| {
        let mut inner = inner.clone();
        Box::pin(async move {
            poll_fn(|cx| inner.poll_ready(cx))
                .await
                .map_err(Into::into)?;
            tell_the_time(&mut request)?;
            let response = inner.call(request).await.map_err(Into::into)?;
            Ok(AnswerBody::adopt(response))
        })
    })
}

/// A wrapper may have waited, and what is left is less than it was. Nothing, if it has waited for all of it: then nothing is sent.
fn tell_the_time<B: 'static>(request: &mut Request<B>) -> Result<(), Error> {
    let Some(notes) = Notes::get_mut(request) else {
        return Ok(());
    };
    let Some(deadline) = notes.deadline() else {
        return Ok(());
    };
    notes.set_now(Instant::now());
    match notes.time_left() {
        Some(Duration::ZERO) => Err(Error::deadline(deadline.timeout(), notes.dialect())
            .with_disposition(Disposition::NeverSent)),
        _ => Ok(()),
    }
}

/// The attempt, inside of its wrappers if it has any.
#[pin_project(project = Projected)]
pub enum ResponseFuture<F> {
    /// No wrappers.
    Calling(#[pin] F),
    /// The outermost wrapper runs.
    Wrapped(BoxFuture<Answer>),
}

impl<F> std::fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Calling(_) => "Calling",
            Self::Wrapped(_) => "Wrapped",
        })
    }
}

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<ResponseBody>, E>>,
    E: Into<Error>,
{
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        match self.project() {
            Projected::Calling(future) => future.poll(cx).map_err(Into::into),
            Projected::Wrapped(future) => future.as_mut().poll(cx),
        }
    }
}
