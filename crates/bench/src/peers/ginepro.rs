//! ginepro: tonic's balance, fed from a lookup. Its tonic is an older one, so the client is not the generated one.

use std::{collections::HashSet, marker::PhantomData, net::SocketAddr, time::Duration};

use ginepro::{LoadBalancedChannel, LookupService, ServiceDefinition};
use http::uri::PathAndQuery;
use prost::Message;
use tonic::{Code, Status};
use tonic_ginepro::{
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use super::{CONNECT_TIMEOUT, Terms, Unbuilt};
use crate::echo::{self, Echo, EchoReply, EchoRequest};

/// Over the nodes as its lookup gives them.
pub(super) async fn client(nodes: &[SocketAddr], terms: Terms) -> Result<Client, Unbuilt> {
    let nodes = Nodes(nodes.iter().copied().collect());
    let service = ServiceDefinition::from_parts("echo", 1).map_err(Unbuilt::because)?;
    let channel = LoadBalancedChannel::builder(service)
        .lookup_service(nodes)
        .connect_timeout(CONNECT_TIMEOUT)
        .channel()
        .await
        .map_err(Unbuilt::because)?;
    Ok(Client {
        grpc: Grpc::new(channel),
        deadline: terms.plain_deadline,
    })
}

struct Nodes(HashSet<SocketAddr>);

#[async_trait::async_trait]
impl LookupService for Nodes {
    async fn resolve_service_endpoints(
        &self,
        _: &ServiceDefinition,
    ) -> Result<HashSet<SocketAddr>, anyhow::Error> {
        Ok(self.0.clone())
    }
}

/// What tonic 0.13 would have generated.
#[derive(Clone)]
pub(super) struct Client {
    grpc: Grpc<LoadBalancedChannel>,
    deadline: Option<Duration>,
}

impl Client {
    async fn unary(&mut self, request: EchoRequest) -> Result<EchoReply, tonic_ginepro::Status> {
        let ready = self.grpc.ready().await;
        ready.map_err(|error| tonic_ginepro::Status::unknown(error.to_string()))?;
        let mut request = tonic_ginepro::Request::new(request);
        if let Some(deadline) = self.deadline {
            request.set_timeout(deadline);
        }
        let path = PathAndQuery::from_static(echo::PATH);
        let reply = self.grpc.unary(request, path, Prost::default()).await?;
        Ok(reply.into_inner())
    }
}

impl Echo for Client {
    async fn say(&mut self, request: EchoRequest) -> Result<EchoReply, Status> {
        let reply = self.unary(request).await;
        reply.map_err(|status| Status::new(Code::from(status.code() as i32), status.message()))
    }
}

/// tonic's own codec takes the messages of an older prost.
struct Prost<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Prost<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for Prost<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self::default()
    }

    fn decoder(&mut self) -> Self {
        Self::default()
    }
}

impl<T: Message, U> Encoder for Prost<T, U> {
    type Item = T;
    type Error = tonic_ginepro::Status;

    fn encode(&mut self, item: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Self::Error> {
        item.encode(buffer)
            .map_err(|error| tonic_ginepro::Status::internal(error.to_string()))
    }
}

impl<T, U: Message + Default> Decoder for Prost<T, U> {
    type Item = U;
    type Error = tonic_ginepro::Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Self::Error> {
        let decoded = U::decode(buffer).map(Some);
        decoded.map_err(|error| tonic_ginepro::Status::internal(error.to_string()))
    }
}
