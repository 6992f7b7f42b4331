use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_micro_call::{BoxError, Dialect, Error, Notes, ResponseBody, status};
use tower_service::Service;

/// How much of a unary answer is kept until its end is known.
const WHOLE: usize = 64 * 1024;

/// Makes [`Outcome`] services. See the [module docs](super) for an example.
#[derive(Clone, Copy, Debug, Default)]
pub struct OutcomeLayer;

impl OutcomeLayer {
    /// Judges by headers and trailers.
    pub const fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for OutcomeLayer {
    type Service = Outcome<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Outcome { inner }
    }
}

/// Makes how an attempt ended a value.
#[derive(Clone, Debug)]
pub struct Outcome<S> {
    inner: S,
}

impl<S, B, RB> Service<Request<B>> for Outcome<S>
where
    S: Service<Request<B>, Response = Response<RB>>,
    S::Error: Into<Error>,
    B: 'static,
    RB: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let notes = Notes::of(&request);
        let dialect = notes.map(Notes::dialect).unwrap_or_default();
        let options = notes.and_then(Notes::options);
        let streaming = options.and_then(|options| options.get_streaming());
        ResponseFuture {
            attempt: self.inner.call(request),
            open: None,
            dialect,
            streaming,
        }
    }
}

/// An attempt whose end is read from its headers, and from as much of its body as may be waited for.
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F> {
    #[pin]
    attempt: F,
    /// A response that the headers leave open, of a method whose whole answer may be waited for.
    open: Option<Box<Response<ResponseBody>>>,
    dialect: Dialect,
    /// Whether the method is known to be a stream, or known to be none.
    streaming: Option<bool>,
}

type Answer = Result<Response<ResponseBody>, Error>;

impl<F, RB, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<RB>, E>>,
    E: Into<Error>,
    RB: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let this = self.project();
        let mut response = match this.open.take() {
            Some(response) => return poll_whole(this.open, response, cx),
            None => match ready!(this.attempt.poll(cx)) {
                Ok(response) => response.map(ResponseBody::new),
                Err(error) => return Poll::Ready(Err(said(error, *this.dialect, *this.streaming))),
            },
        };
        if let Some(error) = by_headers(&mut response, *this.dialect) {
            return Poll::Ready(Err(error));
        }
        let unary = *this.streaming == Some(false);
        let body = response.body_mut();
        let seen = if unary {
            body.poll_whole(cx, WHOLE)
        } else {
            body.poll_peek(cx)
        };
        match seen {
            Poll::Ready(Some(error)) => Poll::Ready(Err(error)),
            Poll::Pending if unary => {
                *this.open = Some(Box::new(response));
                Poll::Pending
            }
            // Trailers often travel with the headers; of a stream nobody waits for them.
            Poll::Ready(None) | Poll::Pending => Poll::Ready(Ok(response)),
        }
    }
}

#[cold]
fn said(error: impl Into<Error>, dialect: Dialect, streaming: Option<bool>) -> Error {
    let error = error.into().of_own_connection();
    match streaming {
        Some(true) => error.spoken_of_stream(dialect),
        _ => error.spoken(dialect),
    }
}

/// The failure that the headers tell of, if they do.
#[inline]
fn by_headers(response: &mut Response<ResponseBody>, dialect: Dialect) -> Option<Error> {
    response.body_mut().set_judged(dialect);
    match status::of(response) {
        Some(Err(status)) => return Some(Error::answered(*status, dialect)),
        Some(Ok(())) => response.body_mut().set_ended(),
        None => {}
    }
    None
}

/// An answer whose end is waited for.
fn poll_whole(
    open: &mut Option<Box<Response<ResponseBody>>>,
    mut response: Box<Response<ResponseBody>>,
    cx: &mut Context<'_>,
) -> Poll<Answer> {
    match response.body_mut().poll_whole(cx, WHOLE) {
        Poll::Ready(failed) => Poll::Ready(failed.map_or(Ok(*response), Err)),
        Poll::Pending => {
            *open = Some(response);
            Poll::Pending
        }
    }
}
