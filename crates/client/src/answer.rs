//! The future of a layer that either refuses a request at once or hands it on.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project::pin_project;
use tower_micro_call::Error;

/// Answers with an error of its own, or with what the inner service answers.
#[pin_project(project = Projected)]
#[derive(Debug)]
pub enum ResponseFuture<F> {
    /// The request went no further.
    Refused(Option<Error>),
    /// The inner service has it.
    Calling(#[pin] F),
}

impl<F> ResponseFuture<F> {
    /// Ends at once.
    pub(crate) const fn refused(error: Error) -> Self {
        Self::Refused(Some(error))
    }
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<R, E>>,
    E: Into<Error>,
{
    type Output = Result<R, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projected::Refused(error) => {
                Poll::Ready(Err(error.take().expect("polled after it was ready")))
            }
            Projected::Calling(future) => future.poll(cx).map_err(Into::into),
        }
    }
}
