//! What a handler answers, with what it was called with around it to the last frame.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
use tokio::task::futures::TaskLocalFuture;
use tower_micro_call::{Ambient, ambient};

/// A handler at work.
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F> {
    #[pin]
    handler: TaskLocalFuture<Arc<Ambient>, F>,
    ambient: Arc<Ambient>,
}

impl<F: Future> ResponseFuture<F> {
    pub(crate) fn new(ambient: Arc<Ambient>, handler: F) -> Self {
        let handler = ambient::scope(Arc::clone(&ambient), handler);
        Self { handler, ambient }
    }
}

impl<F, RB, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<RB>, E>>,
{
    type Output = Result<Response<AmbientBody<RB>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.handler.poll(cx));
        let ambient = Arc::clone(this.ambient);
        Poll::Ready(answer.map(|response| response.map(|inner| AmbientBody { inner, ambient })))
    }
}

/// The body of an answer. A handler that answers with a stream goes on working while the stream is read.
#[pin_project]
#[derive(Debug)]
pub struct AmbientBody<B> {
    #[pin]
    inner: B,
    ambient: Arc<Ambient>,
}

impl<B: Body> Body for AmbientBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        ambient::within(Arc::clone(this.ambient), || this.inner.poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
