//! Around calls and around attempts: the client's side, where an answer's body is a [`ResponseBody`].
//!
//! # Place in the stack
//! Any door of the client: `wrap_client` sees calls, `wrap_call` attempts. Alone it goes around any tonic channel.
//!
//! # Units and defaults
//! The end is that of the body: trailers, a broken stream, a stop without a status, the deadline, or the caller who lets go. A request
//! that the observer passes by costs one comparison; one that is watched costs one box.
//!
//! # Errors
//! None of its own.
//!
//! # Example
//! ```
//! use http::Request;
//! use tower_micro_observe::{Ending, ObserveLayer, Observer, Watch};
//!
//! #[derive(Clone)]
//! struct Print;
//!
//! struct Path(String);
//!
//! impl Observer for Print {
//!     type Watch = Path;
//!
//!     fn begin<B: 'static>(&self, request: &mut Request<B>) -> Option<Path> {
//!         Some(Path(request.uri().path().to_owned()))
//!     }
//! }
//!
//! impl Watch for Path {
//!     fn ended(self, ending: Ending<'_>) {
//!         println!("{} {:?}", self.0, ending.code());
//!     }
//! }
//!
//! let layer = ObserveLayer::new(Print); // Client::builder().wrap_client(layer)
//! # let _ = layer;
//! ```
//!
//! # Not here
//! Servers and plain HTTP: see [`exchange`](crate::exchange).

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_micro_call::{AnswerBody, Error, ResponseBody};
use tower_service::Service;

use crate::{Ending, Observer, Watch, open::Open};

/// Makes [`Observe`] services. See the [module docs](self) for an example.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObserveLayer<O> {
    observer: O,
}

impl<O> ObserveLayer<O> {
    /// Lets `observer` look on.
    pub const fn new(observer: O) -> Self {
        Self { observer }
    }
}

impl<S, O: Clone> Layer<S> for ObserveLayer<O> {
    type Service = Observe<S, O>;

    fn layer(&self, inner: S) -> Self::Service {
        Observe::new(inner, self.observer.clone())
    }
}

/// Lets an observer see calls or attempts begin and end.
#[derive(Clone, Copy, Debug)]
pub struct Observe<S, O> {
    inner: S,
    observer: O,
}

impl<S, O> Observe<S, O> {
    /// Lets `observer` see what goes to `inner`.
    pub const fn new(inner: S, observer: O) -> Self {
        Self { inner, observer }
    }
}

impl<S, O, B, RB> Service<Request<B>> for Observe<S, O>
where
    B: 'static,
    S: Service<Request<B>, Response = Response<RB>>,
    S::Error: Into<Error>,
    RB: AnswerBody,
    O: Observer,
{
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = ResponseFuture<S::Future, O::Watch>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if !self.observer.is_idle() {
            return self.shown(request);
        }
        ResponseFuture {
            answer: Some(self.inner.call(request)),
            open: None,
        }
    }
}

impl<S, O: Observer> Observe<S, O> {
    /// Apart, so that a request that nobody looks at is moved as little as if we were not there: what is shown to an observer has a
    /// place in memory, and is copied to wherever it goes on from there.
    #[inline(never)]
    fn shown<B>(&mut self, mut request: Request<B>) -> ResponseFuture<S::Future, O::Watch>
    where
        B: 'static,
        S: Service<Request<B>>,
    {
        let Some(watch) = self.observer.begin(&mut request) else {
            return ResponseFuture {
                answer: Some(self.inner.call(request)),
                open: None,
            };
        };
        let mut open = Box::new(Open::new(Some(watch)));
        let answer = open.start(request, |request| self.inner.call(request));
        ResponseFuture {
            answer: Some(answer),
            open: Some(open),
        }
    }
}

/// A call or an attempt that is looked at. Dropped, it ends: what is inside first.
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F, W: Watch> {
    /// What is inside; dropped before its failure is told, so that an attempt ends before its call.
    #[pin]
    answer: Option<F>,
    /// `None` if nobody looks. It is this box that waits for the end of the answer's body.
    open: Option<Box<Open<W>>>,
}

impl<F, W, RB, E> Future for ResponseFuture<F, W>
where
    F: Future<Output = Result<Response<RB>, E>>,
    E: Into<Error>,
    RB: AnswerBody,
    W: Watch,
{
    type Output = Result<Response<ResponseBody>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let inside = this.answer.as_mut().as_pin_mut();
        let inside = inside.expect("polled after it was ready");
        let Some(open) = this.open else {
            return match inside.poll(cx) {
                Poll::Ready(Ok(response)) => Poll::Ready(Ok(AnswerBody::adopt(response))),
                Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
                Poll::Pending => Poll::Pending,
            };
        };
        let answer = ready!(open.within(|| inside.poll(cx)));
        Poll::Ready(match answer {
            Ok(response) => {
                let mut response = AnswerBody::adopt(response);
                // What is still under way in it, as the loser of a hedge is, ends before what it is part of.
                this.answer.set(None);
                open.answered(&mut response);
                if let Some(open) = this.open.take() {
                    response.body_mut().on_end(open);
                }
                Ok(response)
            }
            Err(error) => {
                let error = error.into();
                this.answer.set(None);
                open.end(Ending::Failed(&error));
                Err(error)
            }
        })
    }
}
