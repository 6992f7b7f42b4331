//! Ends a call when its deadline passes.
//!
//! The deadline is one instant for the whole call: backoff, every attempt, every connection, the body to its last frame. A call
//! whose deadline has passed before it begins ends without an attempt.
//!
//! # Place in the stack
//! Inside of select, as go-micro has it, outside of retry: one deadline for all attempts. Reads: [`Deadline`], options,
//! the service. Leaves: the [`Deadline`], where it has only its own.
//!
//! # Units and defaults
//! Whatever the options settled on. Without a note, [`DeadlineLayer::after`]; else none.
//!
//! # Errors
//! DEADLINE_EXCEEDED, never CANCELLED; the message tells service, node and attempts. In go-micro's dialects its 408.
//!
//! # Example
//! ```
//! use std::time::Duration;
//! use tower::ServiceBuilder;
//! use tower_micro_client::DeadlineLayer;
//!
//! # async fn stack() {
//! let channel = ServiceBuilder::new()
//!     .layer(DeadlineLayer::after(Duration::from_secs(2)))
//!     .service(tonic::transport::Channel::from_static("http://127.0.0.1:50051").connect_lazy());
//! # }
//! ```
//!
//! # Not here
//! The time of one attempt: see [`timeout`](super::per_attempt::timeout).

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Request, Response};
use pin_project::pin_project;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_micro_call::{AnswerBody, Deadline, Dialect, Error, Expiry, Notes, ResponseBody};
use tower_micro_registry::ServiceName;
use tower_service::Service;

use crate::answer;

/// Makes [`Deadlined`] services. See the [module docs](self) for an example.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeadlineLayer {
    default: Option<Duration>,
}

impl DeadlineLayer {
    /// Holds calls to the deadline that was settled for them.
    pub const fn new() -> Self {
        Self { default: None }
    }

    /// Gives calls for which none was settled `timeout`, from the moment they reach this layer.
    pub const fn after(timeout: Duration) -> Self {
        Self {
            default: Some(timeout),
        }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadlined<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let default = self.default;
        Deadlined { inner, default }
    }
}

/// Ends a call when its deadline passes.
#[derive(Clone, Debug)]
pub struct Deadlined<S> {
    inner: S,
    default: Option<Duration>,
}

impl<S> Deadlined<S> {
    /// The settled deadline, or one of this layer's own, which is noted for those inside.
    fn end_of<B: 'static>(&self, request: &mut Request<B>) -> Option<End> {
        if let Some(end) = Notes::of(request).and_then(End::noted) {
            return Some(end);
        }
        let deadline = Deadline::after(self.default?, Instant::now());
        let notes = Notes::of_mut(request);
        notes.set_deadline(deadline);
        End::noted(notes)
    }
}

impl<S, B, RB> Service<Request<B>> for Deadlined<S>
where
    S: Service<Request<B>, Response = Response<RB>>,
    S::Error: Into<Error>,
    B: 'static,
    RB: AnswerBody,
{
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let Some(end) = self.end_of(&mut request) else {
            let call = answer::ResponseFuture::Calling(self.inner.call(request));
            return ResponseFuture::new(call, None);
        };
        if end.has_passed {
            let error = end.error(Notes::of(&request).and_then(Notes::service));
            return ResponseFuture::new(answer::ResponseFuture::refused(error), None);
        }
        let call = answer::ResponseFuture::Calling(self.inner.call(request));
        ResponseFuture::new(call, Some(end))
    }
}

/// When the call ends, and in whose words.
#[derive(Clone, Copy, Debug)]
struct End {
    deadline: Deadline,
    dialect: Dialect,
    streaming: bool,
    /// Whether it had come when the call did: what it was given was nothing, or selection took all of it.
    has_passed: bool,
}

impl End {
    #[inline]
    fn noted(notes: &Notes) -> Option<Self> {
        let options = notes.options();
        let streaming = options.and_then(|options| options.get_streaming());
        Some(Self {
            deadline: notes.deadline()?,
            dialect: notes.dialect(),
            streaming: streaming == Some(true),
            has_passed: notes.time_left().is_some_and(|left| left.is_zero()),
        })
    }

    fn error(&self, service: Option<&ServiceName>) -> Error {
        let error = Error::deadline(self.deadline.timeout(), self.dialect);
        match service {
            Some(service) => error.with_service(service),
            None => error,
        }
    }

    /// Holds what is left of the call to the deadline too.
    fn bind<RB: AnswerBody>(self, response: Response<RB>) -> Response<ResponseBody> {
        let mut response = AnswerBody::adopt(response);
        response.body_mut().set_deadline(self.deadline);
        if self.streaming {
            response.body_mut().set_streaming();
        }
        response
    }
}

/// Races the call against the clock. The clock starts when the call has to wait, so a call that is answered at once costs no timer.
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F> {
    #[pin]
    call: answer::ResponseFuture<F>,
    end: Option<End>,
    #[pin]
    expiry: Option<Expiry>,
}

impl<F> ResponseFuture<F> {
    const fn new(call: answer::ResponseFuture<F>, end: Option<End>) -> Self {
        Self {
            call,
            end,
            expiry: None,
        }
    }
}

impl<F, RB, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<RB>, E>>,
    E: Into<Error>,
    RB: AnswerBody,
{
    type Output = Result<Response<ResponseBody>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Poll::Ready(answer) = this.call.as_mut().poll(cx) {
            return Poll::Ready(answer.map(|response| match this.end {
                Some(end) => end.bind(response),
                None => AnswerBody::adopt(response),
            }));
        }
        let Some(end) = this.end else {
            return Poll::Pending;
        };
        if this.expiry.is_none() {
            this.expiry.set(Some(Expiry::at(end.deadline.instant())));
        }
        ready!(this.expiry.as_pin_mut().expect("armed above").poll(cx));
        // Those inside know how far they got: they are asked once more, now that the deadline has passed.
        match this.call.poll(cx) {
            Poll::Ready(answer) => Poll::Ready(answer.map(|response| end.bind(response))),
            Poll::Pending => Poll::Ready(Err(end.error(None))),
        }
    }
}
