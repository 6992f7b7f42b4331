//! The layers of a server.

use std::time::Duration;

use tonic::{Status, service::LayerExt};
use tower::util::MapRequestLayer;
use tower_micro::{InboundLayer, ambient, handlers};
use tower_micro_testkit::proto::greeter::{
    HelloReply, HelloRequest,
    greeter_client::GreeterClient,
    greeter_server::{self, GreeterServer},
};

use super::Sent;
use crate::support::{hello, plain, soon, start};

/// Says what its caller sent along, and how long it gave.
#[derive(Clone)]
struct Curious;

#[tonic::async_trait]
impl greeter_server::Greeter for Curious {
    async fn say_hello(
        &self,
        request: tonic::Request<HelloRequest>,
    ) -> Result<tonic::Response<HelloReply>, Status> {
        let ambient = ambient::current().ok_or_else(|| Status::internal("nothing around me"))?;
        let tenant = ambient.metadata.get("x-tenant").unwrap_or("nobody");
        let wrapper = request.metadata().get("x-wrapper");
        Ok(tonic::Response::new(HelloReply {
            message: format!("{tenant} {}", ambient.deadline.is_some()),
            node: wrapper.map_or("", |name| name.to_str().unwrap()).into(),
        }))
    }
}

fn tenant() -> tonic::Request<HelloRequest> {
    let mut request = hello();
    request
        .metadata_mut()
        .insert("x-tenant", "blue".parse().unwrap());
    request.set_timeout(Duration::from_secs(9));
    request
}

#[tokio::test]
async fn inbound_tells_a_handler_what_its_call_came_with() {
    let service = InboundLayer::new().named_layer(GreeterServer::new(Curious));
    let server = start("n0", service).await.unwrap();
    let mut greeter = GreeterClient::new(plain(&server));
    let reply = soon(greeter.say_hello(tenant()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(reply.message, "blue true");
}

#[tokio::test]
async fn handler_wrappers_stand_inside_of_inbound_and_around_the_handler() {
    let wrapper = MapRequestLayer::new(|mut request: Sent| {
        let known = ambient::current().unwrap();
        let tenant = known.metadata.get("x-tenant").unwrap().parse().unwrap();
        request.headers_mut().insert("x-wrapper", tenant);
        request
    });
    let wrapped = handlers().wrap_handler(wrapper);
    let service = wrapped.named_layer(GreeterServer::new(Curious));
    let server = start("n0", service).await.unwrap();
    let mut greeter = GreeterClient::new(plain(&server));
    let reply = soon(greeter.say_hello(tenant()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((&*reply.message, &*reply.node), ("blue true", "blue"));
}
