//! volo-grpc: its own client, codec and messages, written as volo-build generates them.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use http_body::Frame;
use pilota::{
    LinkedBytes,
    pb::{
        DecodeError, EncodeLengthContext, Message,
        encoding::{self, DecodeContext, WireType},
    },
};
use tonic::{Code, Status};
use volo::{
    discovery::StaticDiscover,
    loadbalance::random::WeightedRandomBalance,
    service::{BoxCloneService, Service},
};
use volo_grpc::{
    BoxStream, RecvEntryMessage, RecvStream, Request, Response, SendEntryMessage,
    body::BoxBody,
    client::{Client as Built, ClientBuilder},
    codec::{compression::CompressionEncoding, decode::Kind, encode::encode},
    context::ClientContext,
};

use super::{CONNECT_TIMEOUT, Terms};
use crate::echo::{self, Echo, EchoReply, EchoRequest};

/// volo's balance over the nodes. It repeats nothing.
pub(super) fn client(nodes: &[SocketAddr], terms: Terms) -> Client {
    let builder = ClientBuilder::new(Make, "echo")
        .load_balance(WeightedRandomBalance::new())
        .discover(StaticDiscover::from(nodes.to_vec()))
        .connect_timeout(CONNECT_TIMEOUT)
        .rpc_timeout(Some(terms.deadline));
    builder.build()
}

type Inner =
    Built<BoxCloneService<ClientContext, Request<Sent>, Response<Received>, volo_grpc::Status>>;

struct Make;

impl volo::client::MkClient<Inner> for Make {
    type Target = Client;

    fn mk_client(&self, inner: Inner) -> Client {
        Client(inner)
    }
}

/// What volo-build would have generated.
#[derive(Clone)]
pub(super) struct Client(Inner);

impl Client {
    async fn unary(&self, request: EchoRequest) -> Result<Said, volo_grpc::Status> {
        let sent = Sent(Said {
            id: request.id,
            payload: request.payload,
        });
        let mut cx = self.0.make_cx(echo::PATH);
        let answer = self.0.call(&mut cx, Request::new(sent)).await?;
        let (_, _, Received(mut messages)) = answer.into_parts();
        let said = messages.try_next().await?;
        let said = said.ok_or_else(|| volo_grpc::Status::internal("Missing response message."))?;
        messages.trailers().await?;
        Ok(said)
    }
}

impl Echo for Client {
    async fn say(&mut self, request: EchoRequest) -> Result<EchoReply, Status> {
        match self.unary(request).await {
            Ok(said) => Ok(EchoReply {
                id: said.id,
                payload: said.payload,
            }),
            Err(status) => {
                let code = Code::from(i32::from(status.code()));
                Err(Status::new(code, status.message()))
            }
        }
    }
}

struct Sent(Said);

impl SendEntryMessage for Sent {
    fn into_body(
        self,
        compression: Option<CompressionEncoding>,
    ) -> BoxStream<'static, Result<Frame<Bytes>, volo_grpc::Status>> {
        encode(stream::iter([Ok(self.0)]), compression)
    }
}

struct Received(RecvStream<Said>);

impl RecvEntryMessage for Received {
    fn from_body(
        _: Option<&str>,
        body: BoxBody,
        kind: Kind,
        compression: Option<CompressionEncoding>,
    ) -> Result<Self, volo_grpc::Status> {
        Ok(Self(RecvStream::new(body, kind, compression)))
    }
}

/// Request and reply have the same fields.
#[derive(Clone, Debug, Default)]
struct Said {
    id: u64,
    payload: Bytes,
}

impl Message for Said {
    fn encoded_len(&self, ctx: &mut EncodeLengthContext) -> usize {
        encoding::uint64::encoded_len(ctx, 1, &self.id)
            + encoding::bytes::encoded_len(ctx, 2, &self.payload)
    }

    fn encode_raw(&self, buffer: &mut LinkedBytes) {
        encoding::uint64::encode(1, &self.id, buffer);
        encoding::bytes::encode(2, &self.payload, buffer);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buffer: &mut Bytes,
        ctx: &mut DecodeContext,
        _: bool,
    ) -> Result<(), DecodeError> {
        match tag {
            1 => encoding::uint64::merge(wire_type, &mut self.id, buffer, ctx),
            2 => encoding::bytes::merge(wire_type, &mut self.payload, buffer, ctx),
            _ => encoding::skip_field(wire_type, tag, buffer, ctx),
        }
    }
}
