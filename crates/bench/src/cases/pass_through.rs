//! A call wrapper that does nothing, written as one that does something would be: a layer, a service, a future.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project::pin_project;
use tower::{Layer, Service};

/// Makes [`PassThrough`] services.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PassThroughLayer;

impl<S> Layer<S> for PassThroughLayer {
    type Service = PassThrough<S>;

    fn layer(&self, inner: S) -> PassThrough<S> {
        PassThrough { inner }
    }
}

/// Hands every request on.
#[derive(Clone, Debug)]
pub(crate) struct PassThrough<S> {
    inner: S,
}

impl<S: Service<R>, R> Service<R> for PassThrough<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        ResponseFuture(self.inner.call(request))
    }
}

/// Hands every answer on.
#[pin_project]
#[derive(Debug)]
pub(crate) struct ResponseFuture<F>(#[pin] F);

impl<F: Future> Future for ResponseFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().0.poll(cx)
    }
}
