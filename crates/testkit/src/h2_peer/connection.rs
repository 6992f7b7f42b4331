//! The client's side of a connection to a peer: one of ours, or tonic's channel.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use tonic::transport::{Channel, channel};
use tower_micro_call::{Body, Error, Replay, ResponseBody};
use tower_micro_client::connect::h2::{self, H2Connection};
use tower_service::Service;

/// A connection to a [`Peer`](super::Peer).
#[derive(Clone, Debug)]
pub enum PeerConnection {
    /// Of our own.
    H2(H2Connection),
    /// One of tonic's channels.
    Tonic(Channel),
}

impl Service<Request<Body>> for PeerConnection {
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        match self {
            Self::H2(connection) => connection.poll_ready(cx),
            Self::Tonic(channel) => channel.poll_ready(cx).map_err(Error::transport),
        }
    }

    fn call(&mut self, request: Request<Body>) -> ResponseFuture {
        match self {
            Self::H2(connection) => ResponseFuture::H2(connection.call(request)),
            Self::Tonic(channel) => {
                let request = request.map(tonic::body::Body::restore);
                ResponseFuture::Tonic(channel.call(request))
            }
        }
    }
}

/// A request under way.
#[derive(Debug)]
pub enum ResponseFuture {
    /// On a connection of our own.
    H2(h2::ResponseFuture),
    /// On a channel of tonic's.
    Tonic(channel::ResponseFuture),
}

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::H2(answer) => Pin::new(answer).poll(cx),
            Self::Tonic(answer) => {
                let answer = ready!(Pin::new(answer).poll(cx));
                let response = answer.map_err(Error::transport)?;
                Poll::Ready(Ok(response.map(ResponseBody::from)))
            }
        }
    }
}
