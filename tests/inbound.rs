//! A handler that makes a call: what it was called with goes along, over two real servers.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use http::{HeaderMap, Request};
use tonic::{Code, Response, Status, service::LayerExt};
use tower::{ServiceBuilder, util::MapRequestLayer};
use tower_micro::{
    CallOptions, Channel, Client, Metadata, Preset, RequestExt, Static, ambient,
    crates::call::timeout::grpc_timeout, handlers,
};
use tower_micro_testkit::{
    Answer, Greeter, TestServer,
    proto::greeter::{
        HelloReply, HelloRequest,
        greeter_client::GreeterClient,
        greeter_server::{self, GreeterServer},
    },
};

use crate::support::{greeter, hello, plain, soon, start, wired};

type Reply = Result<Response<HelloReply>, Status>;

/// What a handler does with a client of the server behind it.
type Asks = fn(GreeterClient<Channel>) -> BoxFuture<'static, Reply>;

fn ask(mut behind: GreeterClient<Channel>) -> BoxFuture<'static, Reply> {
    async move { behind.say_hello(hello()).await }.boxed()
}

/// A handler that asks the server behind it.
#[derive(Clone)]
struct Frontend {
    client: Client,
    asks: Asks,
}

#[tonic::async_trait]
impl greeter_server::Greeter for Frontend {
    async fn say_hello(&self, _: tonic::Request<HelloRequest>) -> Reply {
        (self.asks)(greeter(&self.client)).await
    }
}

/// A server in front, one behind, and what the latter was called with.
struct Two {
    front: TestServer,
    behind: Greeter,
    _server: TestServer,
    seen: Arc<Mutex<HeaderMap>>,
}

impl Two {
    async fn start(preset: Preset, asks: Asks) -> Self {
        let seen: Arc<Mutex<HeaderMap>> = Arc::default();
        let headers = Arc::clone(&seen);
        let watched = ServiceBuilder::new().map_request(move |request: Request<_>| {
            *headers.lock().unwrap() = request.headers().clone();
            request
        });
        let behind = Greeter::new("behind");
        let service = watched.named_layer(behind.service());
        let server = start("behind", service).await.unwrap();
        let registry = Static::addresses("greeter", [server.address().to_string()]).unwrap();
        let client = wired().registry(registry).preset(preset);
        let client = client.build().unwrap();
        let handler = GreeterServer::new(Frontend { client, asks });
        let front = start("front", handlers().named_layer(handler));
        Self {
            front: front.await.unwrap(),
            behind,
            _server: server,
            seen,
        }
    }

    /// A call with these headers, as a plain gRPC client makes it.
    async fn call<const N: usize>(&self, headers: [(&'static str, &'static str); N]) -> Reply {
        let mut request = hello();
        for (name, value) in headers {
            request.metadata_mut().insert(name, value.parse().unwrap());
        }
        soon(GreeterClient::new(plain(&self.front)).say_hello(request)).await
    }

    /// A header that the server behind was sent.
    fn header(&self, name: &str) -> Option<String> {
        let headers = self.seen.lock().unwrap();
        let value = headers.get(name)?;
        Some(value.to_str().unwrap().to_owned())
    }

    /// How long the server behind was given.
    fn given(&self) -> Duration {
        let header = self.header("grpc-timeout").unwrap();
        grpc_timeout::parse(&header.parse().unwrap()).unwrap()
    }
}

const TWO_SECONDS: Duration = Duration::from_secs(2);

#[tokio::test]
async fn metadata_of_a_call_goes_along_with_the_calls_its_handler_makes() {
    let two = Two::start(Preset::Standard, ask).await;
    let sent = [("x-tenant", "blue"), ("x-request-id", "7")];
    let reply = two.call(sent).await.unwrap();
    assert_eq!(reply.into_inner().node, "behind");
    assert_eq!(two.header("x-tenant").unwrap(), "blue");
    assert_eq!(two.header("x-request-id").unwrap(), "7");
}

#[tokio::test]
async fn a_key_without_a_value_does_not_go_along() {
    let two = Two::start(Preset::GoMicroV2, ask).await;
    let sent = [("x-tenant", ""), ("x-request-id", "7")];
    two.call(sent).await.unwrap();
    assert_eq!(two.header("x-tenant"), None);
    assert_eq!(two.header("x-request-id").unwrap(), "7");
}

#[tokio::test]
async fn headers_that_belong_to_one_call_do_not_go_along() {
    let two = Two::start(Preset::Standard, ask).await;
    two.call([
        ("timeout", "2000000000"),
        ("x-content-type", "application/grpc+json"),
    ])
    .await
    .unwrap();
    assert_eq!(two.header("timeout"), None);
    assert_eq!(two.header("x-content-type"), None);
}

#[tokio::test]
async fn the_deadline_of_a_call_is_that_of_the_calls_its_handler_makes() {
    let two = Two::start(Preset::Standard, ask).await;
    two.call([]).await.unwrap();
    assert!(two.given() > TWO_SECONDS, "nobody was in a hurry");
    two.call([("grpc-timeout", "2S")]).await.unwrap();
    assert!(two.given() <= TWO_SECONDS);
    two.call([("timeout", "2000000000")]).await.unwrap();
    assert!(
        two.given() <= TWO_SECONDS,
        "go-micro's own header counts too"
    );
}

#[tokio::test]
async fn a_client_that_speaks_go_micro_hands_on_go_micros_timeout() {
    let two = Two::start(Preset::GoMicroV2, ask).await;
    two.call([("timeout", "2000000000")]).await.unwrap();
    let nanoseconds: u64 = two.header("timeout").unwrap().parse().unwrap();
    assert!((1..=2_000_000_000).contains(&nanoseconds), "{nanoseconds}");
    assert!(two.given() <= TWO_SECONDS);
}

// tonic's server ends a handler for `grpc-timeout` only, so here it is the call behind that ends.
#[tokio::test]
async fn a_handlers_call_ends_with_the_call_it_serves() {
    let two = Two::start(Preset::Standard, ask).await;
    two.behind.answer(Answer::Never);
    let status = two.call([("timeout", "100000000")]).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(status.message().contains("service greeter"), "{status}");
}

#[tokio::test]
async fn what_a_handler_says_itself_counts_before_what_it_was_told() {
    let two = Two::start(Preset::Standard, |mut behind| {
        let mut metadata = Metadata::new();
        metadata.insert("x-tenant", "green").unwrap();
        let request = hello().with_options(CallOptions::new().metadata(metadata));
        async move { behind.say_hello(request).await }.boxed()
    });
    let two = two.await;
    two.call([("x-tenant", "blue"), ("x-request-id", "7")])
        .await
        .unwrap();
    assert_eq!(two.header("x-tenant").unwrap(), "green");
    assert_eq!(two.header("x-request-id").unwrap(), "7");
}

#[tokio::test]
async fn what_a_handler_takes_out_does_not_go_along() {
    let two = Two::start(Preset::Standard, |mut behind| {
        let mut metadata = Metadata::new();
        metadata.insert("authorization", "").unwrap();
        let request = hello().with_options(CallOptions::new().metadata(metadata));
        async move { behind.say_hello(request).await }.boxed()
    });
    let two = two.await;
    two.call([("authorization", "Bearer 7"), ("x-request-id", "7")])
        .await
        .unwrap();
    assert_eq!(two.header("authorization"), None);
    assert_eq!(two.header("x-request-id").unwrap(), "7");
}

#[tokio::test]
async fn a_task_that_a_handler_spawns_is_outside_unless_it_takes_the_context_along() {
    let two = Two::start(Preset::Standard, |behind| {
        async move { tokio::spawn(ask(behind)).await.unwrap() }.boxed()
    });
    let two = two.await;
    two.call([("x-tenant", "blue")]).await.unwrap();
    assert_eq!(two.header("x-tenant"), None);

    let two = Two::start(Preset::Standard, |behind| {
        let known = ambient::current().unwrap();
        async move {
            tokio::spawn(ambient::scope(known, ask(behind)))
                .await
                .unwrap()
        }
        .boxed()
    });
    let two = two.await;
    two.call([("x-tenant", "blue")]).await.unwrap();
    assert_eq!(two.header("x-tenant").unwrap(), "blue");
}

#[tokio::test]
async fn handlers_at_the_same_time_do_not_mix() {
    let two = Two::start(Preset::Standard, |mut behind| {
        async move {
            let known = ambient::current().unwrap();
            tokio::task::yield_now().await;
            let mut reply = behind.say_hello(hello()).await?;
            let tenant = ambient::current()
                .unwrap()
                .metadata
                .get("x-tenant")
                .unwrap()
                .to_owned();
            assert_eq!(known.metadata.get("x-tenant"), Some(&*tenant));
            reply.get_mut().message = tenant;
            Ok(reply)
        }
        .boxed()
    });
    let two = two.await;
    let tenants = ["blue", "green", "red", "white"];
    let calls = tenants.map(|tenant| two.call([("x-tenant", tenant)]));
    for (reply, tenant) in futures_util::future::join_all(calls)
        .await
        .iter()
        .zip(tenants)
    {
        assert_eq!(reply.as_ref().unwrap().get_ref().message, tenant);
    }
}

#[tokio::test]
async fn a_handler_wrapper_sees_what_the_handler_was_called_with() {
    let tenant = |mut request: Request<tonic::body::Body>| {
        let known = ambient::current().unwrap();
        let tenant = known.metadata.get("x-tenant").unwrap_or("nobody");
        request
            .headers_mut()
            .insert("x-seen", tenant.parse().unwrap());
        request
    };
    let wrapped = handlers().wrap_handler(MapRequestLayer::new(tenant));
    #[derive(Clone)]
    struct Mirror;
    #[tonic::async_trait]
    impl greeter_server::Greeter for Mirror {
        async fn say_hello(&self, request: tonic::Request<HelloRequest>) -> Reply {
            let seen = request.metadata().get("x-seen").unwrap();
            let message = seen.to_str().unwrap().to_owned();
            let node = String::new();
            Ok(Response::new(HelloReply { message, node }))
        }
    }
    let service = wrapped.named_layer(GreeterServer::new(Mirror));
    let server = start("n0", service).await.unwrap();
    let mut request = hello();
    request
        .metadata_mut()
        .insert("x-tenant", "blue".parse().unwrap());
    let reply = soon(GreeterClient::new(plain(&server)).say_hello(request)).await;
    assert_eq!(reply.unwrap().into_inner().message, "blue");
}
