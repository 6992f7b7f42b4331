//! The node that is called: a server on a thread of its own, that answers at once.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body_util::BodyExt;
use tonic::{body::Body, codegen::BoxFuture, server::NamedService, transport::Server};
use tower::Service;

use super::other_end::{listen, on_its_own_thread};
use crate::mock::answer;

/// Starts it.
pub(super) fn start() -> io::Result<SocketAddr> {
    let (listener, address) = listen()?;
    on_its_own_thread(async move {
        let incoming = super::other_end::incoming(listener);
        let server = Server::builder().add_service(Answers);
        let _ = server.serve_with_incoming(incoming).await;
    });
    Ok(address)
}

/// Every call of `greeter.Greeter` is answered.
#[derive(Clone, Copy, Debug)]
struct Answers;

impl NamedService for Answers {
    const NAME: &'static str = "greeter.Greeter";
}

impl Service<Request<Body>> for Answers {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(async move {
            // What is left of a request that broke is nothing to us.
            let _ = request.into_body().collect().await;
            Ok(answer())
        })
    }
}
