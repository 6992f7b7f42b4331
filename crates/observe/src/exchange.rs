//! Around handlers and around plain HTTP: any request, any answer, errors as they are.
//!
//! # Place in the stack
//! Outermost on a tonic or an axum server, or around an HTTP client that is a tower service.
//!
//! # Units and defaults
//! An answer whose content type is gRPC's ends with the status in its headers or trailers; any other with the end of its body, gRPC-Web's
//! too, whose trailers stand in it and are not read. What was asked for in gRPC and is answered in plain HTTP, with another status than
//! 200, comes to the code that a gRPC client makes of it.
//! The body is polled within the watch too, so that what a streaming handler does counts as its own.
//!
//! # Errors
//! None of its own. A [`tonic::Status`], alone or among the causes of an error in a box, as that of a layer that refuses a request may be,
//! ends the exchange with its code: a tonic server makes an answer of it, further outside.
//!
//! # Example
//! ```
//! use tower_micro_observe::{Ending, ObserveExchangeLayer, Observer, Watch};
//!
//! #[derive(Clone)]
//! struct Count;
//!
//! impl Observer for Count {
//!     type Watch = Self;
//!
//!     fn begin<B: 'static>(&self, _: &mut http::Request<B>) -> Option<Self> {
//!         Some(Self)
//!     }
//! }
//!
//! impl Watch for Count {
//!     fn ended(self, ending: Ending<'_>) {
//!         println!("one more: {:?}", ending.code());
//!     }
//! }
//!
//! let server = tonic::transport::Server::builder().layer(ObserveExchangeLayer::new(Count));
//! # let _ = server;
//! ```
//!
//! # Not here
//! A client's calls and attempts: see [`onion`](crate::onion).

use std::{
    any::{Any, type_name},
    error::Error as StdError,
    future::Future,
    iter::successors,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use http_body::Body;
use pin_project::pin_project;
use tonic::Status;
use tower_layer::Layer;
use tower_micro_call::BoxError;
use tower_service::Service;

use crate::{Ending, ObservedBody, Observer, Watch, head::is_grpc, open::Open};

/// Makes [`ObserveExchange`] services. See the [module docs](self) for an example.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObserveExchangeLayer<O> {
    observer: O,
}

impl<O> ObserveExchangeLayer<O> {
    /// Lets `observer` look on.
    pub const fn new(observer: O) -> Self {
        Self { observer }
    }
}

impl<S, O: Clone> Layer<S> for ObserveExchangeLayer<O> {
    type Service = ObserveExchange<S, O>;

    fn layer(&self, inner: S) -> Self::Service {
        ObserveExchange::new(inner, self.observer.clone())
    }
}

/// Lets an observer see requests begin and end.
#[derive(Clone, Copy, Debug)]
pub struct ObserveExchange<S, O> {
    inner: S,
    observer: O,
}

impl<S, O> ObserveExchange<S, O> {
    /// Lets `observer` see what goes to `inner`.
    pub const fn new(inner: S, observer: O) -> Self {
        Self { inner, observer }
    }
}

impl<S, O, B, RB> Service<Request<B>> for ObserveExchange<S, O>
where
    B: 'static,
    S: Service<Request<B>, Response = Response<RB>, Error: 'static>,
    RB: Body + 'static,
    O: Observer,
{
    type Response = Response<ObservedBody<RB, O::Watch>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, O::Watch>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let is_idle = self.observer.is_idle();
        let watch = (!is_idle).then(|| self.observer.begin(&mut request));
        let mut open = Open::new(watch.flatten());
        let asked = open.is_watched() && is_grpc(request.headers());
        // The request is large: it goes through a closure only where somebody looks on.
        let answer = if open.is_watched() {
            open.start(request, |request| self.inner.call(request))
        } else {
            self.inner.call(request)
        };
        ResponseFuture {
            answer,
            asked,
            open,
        }
    }
}

/// An exchange that is looked at. Dropped, it ends: what is inside first.
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F, W: Watch> {
    #[pin]
    answer: F,
    /// Whether it was asked in gRPC.
    asked: bool,
    open: Open<W>,
}

impl<F, W, RB, E> Future for ResponseFuture<F, W>
where
    F: Future<Output = Result<Response<RB>, E>>,
    E: 'static,
    RB: Body + 'static,
    W: Watch,
{
    type Output = Result<Response<ObservedBody<RB, W>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match ready!(this.open.within(|| this.answer.poll(cx))) {
            Ok(mut response) => {
                this.open.answered(&mut response);
                Poll::Ready(Ok(ObservedBody::of(
                    response,
                    *this.asked,
                    this.open.take(),
                )))
            }
            Err(error) => {
                this.open.end(broken(&error));
                Poll::Ready(Err(error))
            }
        }
    }
}

/// How an exchange ends for which there is no answer.
fn broken<E: 'static>(error: &E) -> Ending<'static> {
    let error: &dyn Any = error;
    let boxed = error.downcast_ref::<BoxError>().map(|error| &**error);
    let status = match boxed {
        Some(error) => status_within(error),
        None => error.downcast_ref(),
    };
    status.map_or(Ending::Broken(type_name::<E>()), |status| {
        Ending::Status(status.code())
    })
}

/// What tonic's server finds in an error too (`RecoverError`).
fn status_within<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Status> {
    let mut causes = successors(Some(error), |&error| error.source());
    causes.find_map(|error| error.downcast_ref())
}
