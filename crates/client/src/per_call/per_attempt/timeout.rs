//! Gives one attempt a part of the call's time, so that a node that hangs leaves time for another.
//!
//! # Place in the stack
//! Inside of call wrappers, which see the error, outside of metadata. Reads: options, [`Deadline`](tower_micro_call::Deadline),
//! [`Attempt`](tower_micro_call::Attempt). Leaves: the attempt's time, and that wrappers have run their inside.
//!
//! # Units and defaults
//! [`CallOptions::attempt_timeout`] if it is set. Else, for an idempotent method in gRPC's dialect: what remains of the call, divided
//! by the attempts left, as long as another may follow; at least a tenth, however many those are; the last attempt has the deadline.
//! Else none: an attempt that cannot be repeated is better waited for, and so is one whose request had not ended when the call began,
//! which cannot be once more of it was sent than is kept. go-micro's gRPC client has no such limit.
//!
//! # Errors
//! DEADLINE_EXCEEDED of [`Kind::AttemptTimeout`](tower_micro_call::Kind), which retry tells from the call's own; in
//! go-micro's dialects a 408. Also in the place of the CANCELLED or DEADLINE_EXCEEDED with which a node gives up when the time is over.
//!
//! # Example
//! ```
//! use std::time::Duration;
//! use tower::ServiceBuilder;
//! use tower_micro_client::{AttemptTimeoutLayer, RetryLayer};
//!
//! # async fn stack() {
//! let channel = ServiceBuilder::new()
//!     .layer(RetryLayer::new())
//!     .layer(AttemptTimeoutLayer::after(Duration::from_millis(250)))
//!     .service(tonic::transport::Channel::from_static("http://127.0.0.1:50051").connect_lazy());
//! # }
//! ```
//!
//! # Not here
//! The time of the call: see [`deadline`](crate::per_call::deadline).

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::Request;
use pin_project::pin_project;
use tokio::time::Instant;
use tonic::Code;
use tower_layer::Layer;
use tower_micro_call::{CallOptions, Dialect, Error, Expiry, Kind, Notes};
use tower_service::Service;

/// Makes [`AttemptTimeout`] services. See the [module docs](self) for an example.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttemptTimeoutLayer {
    default: Option<Duration>,
}

impl AttemptTimeoutLayer {
    /// As the options of each call say.
    pub const fn new() -> Self {
        Self { default: None }
    }

    /// The same, with `timeout` where they say nothing. Of zero, no attempt that has to wait for its answer has any.
    pub const fn after(timeout: Duration) -> Self {
        Self {
            default: Some(timeout),
        }
    }
}

impl<S> Layer<S> for AttemptTimeoutLayer {
    type Service = AttemptTimeout<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let default = self.default;
        AttemptTimeout { inner, default }
    }
}

/// Gives one attempt a part of the call's time.
#[derive(Clone, Debug)]
pub struct AttemptTimeout<S> {
    inner: S,
    default: Option<Duration>,
}

impl<S> AttemptTimeout<S> {
    /// Notes the time of this attempt for those inside.
    fn settle<B: 'static>(&self, request: &mut Request<B>) -> Option<Limit> {
        let Some(notes) = Notes::get_mut(request) else {
            let limit = |timeout| Limit::new(timeout, Instant::now(), Dialect::Grpc);
            return self.default.map(limit);
        };
        notes.common().come_inside(notes.attempt().number);
        let timeout = of(notes).or(self.default);
        notes.set_attempt_timeout(timeout);
        timeout.map(|timeout| Limit::new(timeout, notes.now(), notes.dialect()))
    }
}

/// The time of an attempt, or `None` if the call's deadline is all it has.
fn of(notes: &Notes) -> Option<Duration> {
    let options = notes.options()?;
    options
        .get_attempt_timeout()
        .or_else(|| share(notes, options))
}

fn share(notes: &Notes, options: &CallOptions) -> Option<Duration> {
    let repeats = !notes.attempt().streamed && options.get_idempotent() == Some(true);
    repeats.then(|| notes.share()).flatten()
}

/// The time of an attempt, and in whose words it is told that it is over.
#[derive(Clone, Copy, Debug)]
struct Limit {
    timeout: Duration,
    /// When the node can have begun to count it, at the earliest. The timer here is armed later, when there is something to wait for.
    began: Instant,
    dialect: Dialect,
}

impl Limit {
    const fn new(timeout: Duration, began: Instant, dialect: Dialect) -> Self {
        Self {
            timeout,
            began,
            dialect,
        }
    }

    /// Whether it may be over for the node.
    fn is_over(&self) -> bool {
        let end = self.began.checked_add(self.timeout);
        end.is_some_and(|end| end <= Instant::now())
    }

    fn error(self) -> Error {
        Error::attempt_timeout(self.timeout).spoken(self.dialect)
    }
}

impl<S, B> Service<Request<B>> for AttemptTimeout<S>
where
    B: 'static,
    S: Service<Request<B>>,
    S::Error: Into<Error>,
{
    type Response = S::Response;
    type Error = Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    #[inline]
    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let limit = self.settle(&mut request);
        ResponseFuture {
            attempt: self.inner.call(request),
            limit,
            expiry: None,
        }
    }
}

/// Races the attempt against its time.
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F> {
    #[pin]
    attempt: F,
    limit: Option<Limit>,
    /// Armed when there is something to wait for, as over a wire there always is: a box would be one allocation a call.
    #[pin]
    expiry: Option<Expiry>,
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<R, E>>,
    E: Into<Error>,
{
    type Output = Result<R, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Poll::Ready(answer) = this.attempt.poll(cx) {
            return Poll::Ready(answer.map_err(|error| ended(error.into(), *this.limit)));
        }
        let Some(limit) = *this.limit else {
            return Poll::Pending;
        };
        if this.expiry.is_none() {
            this.expiry.set(Some(Expiry::after(limit.timeout)));
        }
        ready!(this.expiry.as_pin_mut().expect("armed above").poll(cx));
        Poll::Ready(Err(limit.error()))
    }
}

/// The node knows how long it has, and may say that it gave up before a timer of ours fires: that is the same end, told twice.
#[cold]
fn ended(error: Error, limit: Option<Limit>) -> Error {
    let timed_out = error.kind() == Kind::Status && error.code() == Code::DeadlineExceeded;
    let gave_up = timed_out || error.is_cancelled_by_node();
    match limit.filter(|limit| gave_up && limit.is_over()) {
        Some(limit) => limit.error(),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use http::Response;
    use tokio::time::advance;
    use tonic::Status;
    use tower::service_fn;
    use tower_micro_call::{Body, ResponseBody};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How an attempt of a second ends that is not polled for so long, and whose node has given up by then.
    async fn left_for(time: Duration) -> Error {
        let gave_up = || Error::answered(Status::cancelled("Timeout expired"), Dialect::Grpc);
        let node =
            service_fn(move |_: Request<Body>| ready(Err::<Response<ResponseBody>, _>(gave_up())));
        let mut request = Request::new(Body::default());
        Notes::of_mut(&mut request).set_now(Instant::now());
        let attempt = AttemptTimeoutLayer::after(SECOND).layer(node).call(request);
        advance(time).await;
        attempt.await.unwrap_err()
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_gives_up_while_no_timer_runs_has_had_its_time() {
        assert_eq!(left_for(SECOND).await.kind(), Kind::AttemptTimeout);
        let before = left_for(SECOND / 2).await;
        assert_eq!(
            (before.kind(), before.code()),
            (Kind::Status, Code::Cancelled)
        );
    }
}
