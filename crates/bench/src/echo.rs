//! The service: `bench.Echo/Say`, unary.

#[allow(
    clippy::all,
    clippy::pedantic,
    missing_docs,
    missing_debug_implementations,
    unused_qualifications,
    unreachable_pub
)]
mod generated {
    tonic::include_proto!("bench");
}

use std::future::Future;

use bytes::Bytes;
use tonic::Status;

pub use self::generated::{EchoReply, EchoRequest, echo_client, echo_server};

/// The method, as a path.
pub const PATH: &str = "/bench.Echo/Say";

/// A client of one peer, ready to make calls. A clone makes them besides.
pub trait Echo: Clone + Send + 'static {
    /// Makes one call.
    fn say(
        &mut self,
        request: EchoRequest,
    ) -> impl Future<Output = Result<EchoReply, Status>> + Send;
}

impl EchoRequest {
    /// With an id, and so many bytes.
    pub const fn new(id: u64, payload: Bytes) -> Self {
        Self { id, payload }
    }
}

impl EchoReply {
    /// The answer to `request`.
    pub fn to(request: EchoRequest) -> Self {
        Self {
            id: request.id,
            payload: request.payload,
        }
    }

    /// Whether this answers the request with `id`, sent with `payload`.
    pub fn answers(&self, id: u64, payload: &Bytes) -> bool {
        self.id == id && self.payload == payload
    }
}
