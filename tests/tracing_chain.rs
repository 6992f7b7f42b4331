//! Traces that run on: through a handler's own calls, through spans of the program, through a layer alone.

use tonic::{Status, transport::Server};
use tower_micro::{
    AttemptTraceLayer, Attempts, CallTraceLayer, Channel, Client, HandlerTraceLayer, Static,
    handlers,
};
use tower_micro_testkit::{
    TestServer,
    proto::greeter::{HelloReply, HelloRequest, greeter_client::GreeterClient, greeter_server},
};

use crate::{
    support::{call as say, greeter, hello, soon},
    tracing_shape::{Traced, last},
    tracing_support::{Seen, Telescope},
    tracing_table::tree,
};

/// A greeter that asks another one.
#[derive(Clone)]
struct Relay(GreeterClient<Channel>);

#[tonic::async_trait]
impl greeter_server::Greeter for Relay {
    async fn say_hello(
        &self,
        request: tonic::Request<HelloRequest>,
    ) -> Result<tonic::Response<HelloReply>, Status> {
        self.0.clone().say_hello(request.into_inner()).await
    }
}

/// A server that asks `behind`, with or without the metadata that flows on.
async fn relay(behind: &Client, layer: HandlerTraceLayer) -> TestServer {
    let relay = greeter_server::GreeterServer::new(Relay(greeter(behind)));
    let mut server = Server::builder().layer(layer).layer(handlers());
    TestServer::serve("front", server.add_service(relay))
        .await
        .unwrap()
}

fn client_of(server: &TestServer) -> Client {
    let registry = Static::addresses("greeter", [server.address().to_string()]).unwrap();
    let client = Client::builder().registry(registry);
    client.wrap_client(CallTraceLayer::new()).build().unwrap()
}

/// A traced server that asks `behind`, and a client of it.
pub(crate) async fn front(behind: &Traced) -> (TestServer, Client) {
    let front = relay(&behind.client(Attempts::OnRetry), HandlerTraceLayer::new()).await;
    let client = client_of(&front);
    (front, client)
}

const CHAIN: &str = "\
greeter.Greeter/SayHello CLIENT OK
  greeter.Greeter/SayHello SERVER OK
    greeter.Greeter/SayHello CLIENT OK
      greeter.Greeter/SayHello SERVER OK
";

#[tokio::test]
async fn the_calls_of_a_handler_hang_under_the_handler() {
    let (telescope, fleet) = (Telescope::new(), Traced::of(1).await);
    let (_front, client) = front(&fleet).await;
    say(&client).await.unwrap();
    assert_eq!(tree(&telescope.until(4).await), CHAIN);
}

// go-micro hands all metadata on, so the parent that came in B3 would travel beside ours, and a server that looks for B3 first would
// hang in the wrong place.
#[tokio::test]
async fn the_parent_that_came_in_does_not_go_out_beside_ours() {
    use tower_micro::{Format, Propagation};
    let telescope = Telescope::new();
    let b3_first = Propagation::new().extract([Format::B3Multi, Format::W3c]);
    let layer = HandlerTraceLayer::new().propagation(b3_first);
    let fleet = Traced::with(1, layer.clone()).await;
    let front = relay(&fleet.client(Attempts::OnRetry), layer).await;
    let registry = Static::addresses("greeter", [front.address().to_string()]).unwrap();
    let b3 = Propagation::new().inject([Format::B3Multi]);
    let client = Client::builder()
        .registry(registry)
        .wrap_client(CallTraceLayer::new().propagation(b3));
    say(&client.build().unwrap()).await.unwrap();
    assert_eq!(tree(&telescope.until(4).await), CHAIN);
}

#[tokio::test]
async fn spans_of_yours_in_between_stay_in_between() {
    use tracing::Instrument;
    let (telescope, fleet) = (Telescope::new(), Traced::of(1).await);
    let audit = |_: tower_micro::Context, request, next: tower_micro::Next| {
        async move { next.run(request).await }.instrument(tracing::info_span!("audit"))
    };
    let client = Client::builder()
        .registry(fleet.registry())
        .wrap_client((CallTraceLayer::new(), tower_micro::from_fn(audit)))
        .wrap_call(AttemptTraceLayer::new().attempts(Attempts::Always))
        .build()
        .unwrap();
    say(&client)
        .instrument(tracing::info_span!("request"))
        .await
        .unwrap();
    let expected = "\
request INTERNAL
  greeter.Greeter/SayHello CLIENT OK
    audit INTERNAL
      greeter.Greeter/SayHello attempt INTERNAL OK
        greeter.Greeter/SayHello SERVER OK
";
    assert_eq!(tree(&telescope.until(5).await), expected);
}

#[tokio::test]
async fn a_layer_alone_around_tonics_own_channel_does_the_same() {
    let (telescope, fleet) = (Telescope::new(), Traced::of(1).await);
    let channel = tower::ServiceBuilder::new()
        .layer(CallTraceLayer::new())
        .service(crate::support::plain(&fleet.servers[0]));
    let mut stub = GreeterClient::new(channel);
    soon(stub.say_hello(hello())).await.unwrap();
    fleet.fail(0, Status::unavailable("busy"));
    soon(stub.say_hello(hello())).await.unwrap_err();
    let seen = telescope.until(4).await;
    let failed = last(seen);
    // Nobody told it what the service is called.
    assert_eq!(
        failed.iter().map(Seen::status).collect::<Vec<_>>(),
        ["UNAVAILABLE"; 2]
    );
    assert_eq!(failed[1].parent, failed[0].id);
}
