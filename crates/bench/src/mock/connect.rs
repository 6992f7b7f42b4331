use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use tower::Service;
use tower_micro::{Body, Candidate, Connect, Error, ResponseBody};

use super::{Answer, Mock};

/// Every node is the same [`Mock`].
#[derive(Clone, Copy, Debug)]
pub struct MockConnect(pub Mock);

impl Connect for MockConnect {
    type Connection = MockConnection;

    fn connect(&self, _: &Candidate, _: Option<Duration>) -> Result<MockConnection, Error> {
        Ok(MockConnection(self.0))
    }
}

/// A [`Mock`] with the request and the response of our stack, as `connect::Tonic` gives them.
#[derive(Clone, Copy, Debug)]
pub struct MockConnection(pub Mock);

impl Service<Request<Body>> for MockConnection {
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = ConnectionAnswer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> ConnectionAnswer {
        ConnectionAnswer(self.0.call(request))
    }
}

/// The answer of a [`MockConnection`], once it is there.
#[derive(Debug)]
pub struct ConnectionAnswer(Answer);

impl Future for ConnectionAnswer {
    type Output = Result<Response<ResponseBody>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = Pin::new(&mut self.0).poll(cx);
        answer.map_ok(|response| response.map(ResponseBody::from))
    }
}
