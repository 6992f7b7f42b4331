//! The gRPC side: `welcome`, which asks `hello`, of which there are two nodes.

use std::time::Duration;

use tonic::{Request, Response, Status, transport::Server};
use tower_micro::{
    AttemptTraceLayer, Attempts, BoxError, CallOptions, CallTraceLayer, Channel, Client,
    HandlerTraceLayer, Service, Static, handlers,
};
use tower_micro_testkit::{
    Answer, Greeter, TestServer,
    proto::greeter::{
        HelloReply, HelloRequest,
        greeter_client::GreeterClient,
        greeter_server::{self, GreeterServer},
    },
};

/// Two services that run, and a client of each.
pub(crate) struct Services {
    pub(crate) welcome: Client,
    pub(crate) hello: Client,
    _servers: [TestServer; 3],
}

impl Services {
    pub(crate) async fn start() -> Result<Self, BoxError> {
        let (a, b) = (Greeter::new("a"), Greeter::new("b"));
        a.answer(Answer::After(Duration::from_millis(20)));
        b.answer(Answer::Fail(Status::unavailable("busy")));
        let (a, b) = (
            serve("a", a.service()).await?,
            serve("b", b.service()).await?,
        );
        let hello = client(
            Service::new("hello", "1")
                .with_node(b.node())
                .with_node(a.node()),
        )?;

        let welcome = Welcome(GreeterClient::new(hello.channel("hello")));
        let w = serve("w", GreeterServer::new(welcome)).await?;
        let welcome = client(Service::new("welcome", "1").with_node(w.node()))?;
        Ok(Self {
            welcome,
            hello,
            _servers: [a, b, w],
        })
    }
}

/// A client whose calls and attempts are traced. It begins with the first node, which here is the busy one.
fn client(service: Service) -> Result<Client, BoxError> {
    let options = CallOptions::new()
        .idempotent(true)
        .backoff(|cx: tower_micro::RetryContext<'_>| Ok(Duration::from_millis(5) * cx.attempt))
        .strategy(tower_micro::RoundRobinShared::new());
    let client = Client::builder()
        .registry(Static::new([service]))
        .options(options)
        .wrap_client(CallTraceLayer::new())
        .wrap_call(AttemptTraceLayer::new().attempts(Attempts::Always));
    Ok(client.build()?)
}

async fn serve<S>(id: &str, service: GreeterServer<S>) -> std::io::Result<TestServer>
where
    S: greeter_server::Greeter,
{
    let mut server = Server::builder()
        .layer(HandlerTraceLayer::new())
        .layer(handlers());
    TestServer::serve(id, server.add_service(service)).await
}

/// Greets politely, with what the other service says.
struct Welcome(GreeterClient<Channel>);

#[tonic::async_trait]
impl greeter_server::Greeter for Welcome {
    async fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        let mut reply = self
            .0
            .clone()
            .say_hello(request.into_inner())
            .await?
            .into_inner();
        reply.message = format!("Welcome! {}, says node {}.", reply.message, reply.node);
        Ok(Response::new(reply))
    }
}
