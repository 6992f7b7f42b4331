//! Retries do not multiply from hop to hop: a server calls another one, which is unavailable.

use tonic::{Code, Request, Response, Status, service::LayerExt};
use tower_micro::{CallOptions, Client, Static, handlers};
use tower_micro_testkit::{
    Answer, Greeter, TestServer,
    proto::greeter::{
        HelloReply, HelloRequest,
        greeter_server::{self, GreeterServer},
    },
};

use crate::support::{call, greeter, hello, start, wired};

/// A handler that asks the server behind it.
#[derive(Clone)]
struct Between(Client);

#[tonic::async_trait]
impl greeter_server::Greeter for Between {
    async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        greeter(&self.0).say_hello(hello()).await
    }
}

fn client(server: &TestServer, options: CallOptions) -> Client {
    let registry = Static::addresses("greeter", [server.address().to_string()]).unwrap();
    wired().registry(registry).options(options).build().unwrap()
}

/// How often the server behind is called for one call of the one in front, whose own calls have these options.
async fn calls_behind(options: CallOptions) -> usize {
    let behind = Greeter::new("behind");
    behind.answer(Answer::Fail(Status::unavailable("busy")));
    let server = start("behind", behind.service()).await.unwrap();
    let handler = GreeterServer::new(Between(client(&server, options)));
    let front = start("front", handlers().named_layer(handler));
    let front = front.await.unwrap();
    let status = call(&client(&front, idempotent())).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unavailable, "busy")
    );
    behind.calls()
}

fn idempotent() -> CallOptions {
    CallOptions::new().idempotent(true)
}

// Three attempts while the first attempt is served, and one while each of the two retries is.
#[tokio::test]
async fn a_server_that_serves_a_retry_does_not_retry_its_own_calls() {
    assert_eq!(calls_behind(idempotent()).await, 3 + 1 + 1);
}

#[tokio::test]
async fn unless_it_is_told_to() {
    let within = idempotent().retry_within_retry(true);
    assert_eq!(calls_behind(within).await, 3 + 3 + 3);
}
