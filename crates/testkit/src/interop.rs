//! The server of gRPC's interop tests (gRPC `doc/interop-test-descriptions.md`, "Server"), as far as a tonic server can be one.
//!
//! [`Interop`] has the features EmptyCall, UnaryCall, StreamingInputCall, StreamingOutputCall, FullDuplexCall, CompressedRequest and
//! CompressedResponse (unary, gzip), Echo Status and Echo Metadata. Its FullDuplexCall sends no headers before the first answer is due,
//! as grpc-go's. It counts what reaches it, and what the client resets.
//!
//! # Not here
//! Compression of single messages of a stream, which tonic cannot do; payloads other than zeros; credentials; ORCA.

mod echo;
mod handlers;

use std::{
    convert::Infallible,
    future::ready,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::sync::watch;
use tonic::{Status, body::Body, codec::CompressionEncoding::Gzip, server::NamedService};
use tower_micro_call::{
    BoxFuture,
    header::{GRPC_PREVIOUS_RPC_ATTEMPTS, GRPC_STATUS},
};
use tower_service::Service;

use crate::proto::interop::test_service_server::TestServiceServer;
use echo::Echo;
use handlers::Handlers;

/// The compiled descriptor set of package `grpc.testing`.
pub const INTEROP_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/interop.bin"));

type Request = http::Request<Body>;
type Response = http::Response<Body>;

/// What an [`Interop`] has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InteropSeen {
    /// Calls that were let in.
    pub calls: usize,
    /// Calls that were turned away because they were first attempts.
    pub refused: usize,
    /// Calls that the client reset before their answer had ended.
    pub reset: usize,
}

/// The server of gRPC's interop tests. Clones share what they see.
///
/// # Example
/// ```
/// use tonic::transport::Endpoint;
/// use tower_micro_testkit::{
///     Interop, TestServer,
///     proto::interop::{Empty, test_service_client::TestServiceClient},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let interop = Interop::new();
/// let server = TestServer::start("n0", interop.clone()).await?;
/// let address = format!("http://{}", server.address());
/// let mut client = TestServiceClient::new(Endpoint::try_from(address)?.connect_lazy());
/// client.empty_call(Empty {}).await?;
/// assert_eq!(interop.seen().borrow().calls, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Interop {
    service: TestServiceServer<Handlers>,
    refuses_first: bool,
    seen: watch::Sender<InteropSeen>,
}

impl Interop {
    /// A server that answers every call.
    pub fn new() -> Self {
        let service = TestServiceServer::new(Handlers);
        Self {
            service: service.accept_compressed(Gzip).send_compressed(Gzip),
            refuses_first: false,
            seen: watch::Sender::default(),
        }
    }

    /// Answers UNAVAILABLE, without reading a byte, to whatever does not say that it was tried before (`grpc-previous-rpc-attempts`).
    #[must_use]
    pub fn refusing_first(mut self) -> Self {
        self.refuses_first = true;
        self
    }

    /// What it has seen, now and later.
    pub fn seen(&self) -> watch::Receiver<InteropSeen> {
        self.seen.subscribe()
    }

    fn let_in(&self) -> UnderWay {
        self.seen.send_modify(|seen| seen.calls += 1);
        UnderWay {
            seen: self.seen.clone(),
            answered: false,
        }
    }
}

impl Default for Interop {
    fn default() -> Self {
        Self::new()
    }
}

/// The name is a pattern of the router: any service, so that an unknown one meets the same faults.
impl NamedService for Interop {
    const NAME: &'static str = "{service}";
}

impl Service<Request> for Interop {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if self.refuses_first && !request.headers().contains_key(GRPC_PREVIOUS_RPC_ATTEMPTS) {
            self.seen.send_modify(|seen| seen.refused += 1);
            let refused = Status::unavailable("not at the first attempt");
            return Box::pin(ready(Ok(refused.into_http())));
        }
        let (call, echo) = (self.let_in(), Echo::of(request.headers()));
        let answer = self.service.call(Compressed::watch(request));
        Box::pin(async move { Ok(call.answer(echo.add_to(answer.await?))) })
    }
}

/// A call that is reset, unless its answer is sent to the end. hyper lets go of what it no longer needs.
struct UnderWay {
    seen: watch::Sender<InteropSeen>,
    answered: bool,
}

impl UnderWay {
    fn answer(mut self, response: Response) -> Response {
        self.answered = response.headers().contains_key(GRPC_STATUS);
        response.map(|body| Body::new(body.map_frame(move |frame| self.sending(frame))))
    }

    fn sending(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        self.answered |= frame.is_trailers();
        frame
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if !self.answered {
            self.seen.send_modify(|seen| seen.reset += 1);
        }
    }
}

/// Whether the first message of a request has its compressed flag set; known once it has come.
#[derive(Clone, Debug, Default)]
struct Compressed(Arc<OnceLock<bool>>);

impl Compressed {
    /// Lets the handlers see it.
    fn watch(mut request: Request) -> Request {
        let compressed = Self::default();
        request.extensions_mut().insert(compressed.clone());
        request.map(|body| {
            Body::new(body.map_frame(move |frame| {
                compressed.read(&frame);
                frame
            }))
        })
    }

    fn read(&self, frame: &Frame<Bytes>) {
        if let Some(flag) = frame.data_ref().and_then(|data| data.first()) {
            self.0.get_or_init(|| *flag == 1);
        }
    }

    fn is_set(&self) -> bool {
        self.0.get() == Some(&true)
    }
}
