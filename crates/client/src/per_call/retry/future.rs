use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use http::{Request, Response};
use pin_project::pin_project;
use tokio::time::{Instant, Sleep};
use tower_micro_call::{AnswerBody, Error, Notes, Replay, ResponseBody};
use tower_service::Service;

use super::course::{Course, Verdict};

/// The attempts of a call, one after the other.
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<S, B, F> {
    inner: Inner<S>,
    course: Course,
    #[pin]
    phase: Phase<B, F>,
}

/// What later attempts go through: cloned when one is due.
#[derive(Debug)]
struct Inner<S> {
    spare: Arc<S>,
    own: Option<S>,
}

impl<S: Clone> Inner<S> {
    fn own(&mut self) -> &mut S {
        self.own.get_or_insert_with(|| S::clone(&self.spare))
    }
}

/// A request that waits for its turn is kept in a box; one that need not wait never sees it.
#[pin_project(project = PhaseProjected)]
#[derive(Debug)]
enum Phase<B, F> {
    /// An attempt is due; the backoff has not been asked.
    Due(Box<Parked<B>>),
    /// Sleeping before it.
    Waiting(Box<Parked<B>>, #[pin] Sleep),
    /// Waiting for the inner service to take it.
    Readying(Box<Parked<B>>),
    /// It is under way.
    Calling(#[pin] F),
    /// The backoff failed before the first attempt.
    Failed(Option<Error>),
}

type Parked<B> = Option<Request<B>>;

impl<S, B> ResponseFuture<S, B, S::Future>
where
    S: Service<Request<B>> + Clone,
    S::Error: Into<Error>,
{
    /// Sends the first attempt, unless it has to wait.
    pub(super) fn start(
        first: &mut S,
        spare: Arc<S>,
        request: Request<B>,
        mut course: Course,
    ) -> Self {
        let mut inner = Inner { spare, own: None };
        let phase = match course.pause() {
            Err(error) => Phase::Failed(Some(error)),
            Ok(Some(sleep)) => Phase::Waiting(Box::new(Some(request)), sleep),
            Ok(None) => match first.poll_ready(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(())) => Phase::Calling(first.call(request)),
                Poll::Ready(Err(error)) => Phase::Failed(Some(error.into())),
                Poll::Pending => {
                    // Whoever has begun to wait goes on waiting, with this call.
                    let fresh = S::clone(&inner.spare);
                    inner.own = Some(mem::replace(first, fresh));
                    Phase::Readying(Box::new(Some(request)))
                }
            },
        };
        Self {
            inner,
            course,
            phase,
        }
    }
}

impl<S, B, RB> Future for ResponseFuture<S, B, S::Future>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone,
    S::Error: Into<Error>,
    B: Replay,
    RB: AnswerBody,
{
    type Output = Result<Response<ResponseBody>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let failed = match this.phase.as_mut().project() {
                PhaseProjected::Due(request) => {
                    let request = mem::take(request);
                    match this.course.pause() {
                        Ok(None) => this.phase.set(Phase::Readying(request)),
                        Ok(Some(sleep)) => this.phase.set(Phase::Waiting(request, sleep)),
                        Err(error) => this.phase.set(Phase::Failed(Some(error))),
                    }
                    continue;
                }
                PhaseProjected::Waiting(request, sleep) => {
                    let slept = sleep.poll(cx);
                    if let Some(error) = this.course.overdue(request.as_ref().as_ref()) {
                        return Poll::Ready(Err(error));
                    }
                    ready!(slept);
                    let request = mem::take(request);
                    this.phase.set(Phase::Readying(request));
                    continue;
                }
                PhaseProjected::Readying(request) => match this.inner.own().poll_ready(cx) {
                    Poll::Pending => {
                        let overdue = this.course.overdue(request.as_ref().as_ref());
                        return overdue.map_or(Poll::Pending, |error| Poll::Ready(Err(error)));
                    }
                    Poll::Ready(Ok(())) => {
                        if let Some(error) = this.course.refused(request.as_ref().as_ref()) {
                            return Poll::Ready(Err(error));
                        }
                        let mut request = request.take().expect("kept until it is sent");
                        Notes::of_mut(request.extensions_mut()).set_now(Instant::now());
                        let attempt = this.inner.own().call(request);
                        this.phase.set(Phase::Calling(attempt));
                        continue;
                    }
                    Poll::Ready(Err(error)) => error.into(),
                },
                PhaseProjected::Calling(attempt) => match ready!(attempt.poll(cx)) {
                    Ok(response) => {
                        let mut response = AnswerBody::adopt(response);
                        match response.body().failure() {
                            // Inside of the onion a failure is an `Err` by now; a bare channel leaves it in the headers.
                            Some(error) => error,
                            None => {
                                this.course.succeed(&mut response);
                                return Poll::Ready(Ok(response));
                            }
                        }
                    }
                    Err(error) => error.into(),
                },
                PhaseProjected::Failed(error) => error.take().expect("polled after it was ready"),
            };
            match this.course.judge(failed) {
                Verdict::End(error) => return Poll::Ready(Err(error)),
                Verdict::Again => {
                    let Some(request) = this.course.request() else {
                        return Poll::Ready(Err(this.course.committed()));
                    };
                    this.phase.set(Phase::Due(Box::new(Some(request))));
                }
            }
        }
    }
}
