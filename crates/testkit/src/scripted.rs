//! Nodes that answer by a function instead of a wire.

use std::{
    fmt,
    future::Future,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use tower_micro_call::{Body, BoxFuture, Error, ResponseBody};
use tower_micro_client::Connect;
use tower_micro_selector::Candidate;
use tower_service::Service;

type Answer = Result<Response<ResponseBody>, Error>;
type Script = dyn Fn(Request<Body>) -> BoxFuture<Answer> + Send + Sync;

/// Takes the place of the transport: `script` answers for every node. The request's notes say which one was meant.
#[derive(Clone)]
pub struct Scripted(Arc<Script>);

impl Scripted {
    /// Answers with what `script` returns.
    pub fn new<F, Fut>(script: F) -> Self
    where
        F: Fn(Request<Body>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Answer> + Send + 'static,
    {
        Self(Arc::new(move |request| Box::pin(script(request))))
    }

    /// What a node answers that has done well.
    pub fn ok() -> Response<ResponseBody> {
        let mut response = Response::new(ResponseBody::empty());
        let ok = http::HeaderValue::from_static("0");
        response.headers_mut().insert("grpc-status", ok);
        response
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

impl Connect for Scripted {
    type Connection = ScriptedNode;

    fn connect(&self, _: &Candidate, _: Option<Duration>) -> Result<ScriptedNode, Error> {
        Ok(ScriptedNode(Arc::clone(&self.0)))
    }
}

/// A connection that is a function.
#[derive(Clone)]
pub struct ScriptedNode(Arc<Script>);

impl fmt::Debug for ScriptedNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScriptedNode")
    }
}

impl Service<Request<Body>> for ScriptedNode {
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = BoxFuture<Answer>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        (self.0)(request)
    }
}
