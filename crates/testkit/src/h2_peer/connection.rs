//! The client's side of a connection to a peer: tonic's channel.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use tonic::transport::{Channel, channel};
use tower_micro_call::{Body, Error, Replay, ResponseBody};
use tower_service::Service;

/// One of tonic's channels, to a [`Peer`](super::Peer).
#[derive(Clone, Debug)]
pub struct PeerConnection(Channel);

impl PeerConnection {
    pub(super) const fn new(channel: Channel) -> Self {
        Self(channel)
    }
}

impl Service<Request<Body>> for PeerConnection {
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_ready(cx).map_err(Error::transport)
    }

    fn call(&mut self, request: Request<Body>) -> ResponseFuture {
        ResponseFuture(self.0.call(request.map(tonic::body::Body::restore)))
    }
}

/// A request under way.
#[derive(Debug)]
pub struct ResponseFuture(channel::ResponseFuture);

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.0).poll(cx));
        let response = answer.map_err(Error::transport)?;
        Poll::Ready(Ok(response.map(ResponseBody::from)))
    }
}
