//! The shape of traces: what hangs under what, over real servers and a real collector.

use std::time::Duration;

use tonic::{Code, Status, transport::Server};
use tower_micro::{
    AttemptTraceLayer, Attempts, CallOptions, CallTraceLayer, Channel, Client, HandlerTraceLayer,
    Names, RequestExt, Service, Static, handlers,
};
use tower_micro_testkit::{
    Answer, Greeter, TestServer,
    proto::greeter::{HelloReply, HelloRequest, greeter_client::GreeterClient, greeter_server},
};

use crate::{
    support::{greeter, hello, soon},
    tracing_support::{Telescope, tree},
};

/// Real servers whose handlers are traced.
pub(crate) struct Traced {
    pub(crate) servers: Vec<TestServer>,
    pub(crate) greeters: Vec<Greeter>,
}

impl Traced {
    pub(crate) async fn of(count: usize) -> Self {
        Self::with(count, HandlerTraceLayer::new()).await
    }

    pub(crate) async fn with(count: usize, layer: HandlerTraceLayer) -> Self {
        let (mut servers, mut greeters) = (Vec::new(), Vec::new());
        for number in 0..count {
            let id = format!("n{number}");
            let greeter = Greeter::new(&id);
            let router = Server::builder()
                .layer(layer.clone())
                .add_service(greeter.service());
            servers.push(TestServer::serve(id, router).await.unwrap());
            greeters.push(greeter);
        }
        Self { servers, greeters }
    }

    pub(crate) fn registry(&self) -> Static {
        let service = Service::new("greeter", "latest");
        let nodes = self.servers.iter().map(TestServer::node);
        Static::new([nodes.fold(service, Service::with_node)])
    }

    /// A client with both layers, that tries again without a pause.
    pub(crate) fn client(&self, attempts: Attempts) -> Client {
        Client::builder()
            .registry(self.registry())
            .options(CallOptions::new().idempotent(true).retries(2))
            .wrap_client(CallTraceLayer::new())
            .wrap_call(AttemptTraceLayer::new().attempts(attempts))
            .build()
            .unwrap()
    }

    fn fail(&self, node: usize, status: Status) {
        self.greeters[node].answer(Answer::Fail(status));
    }
}

async fn say(client: &Client) -> Result<HelloReply, Status> {
    crate::support::call(client).await
}

// go-micro's own test (wrapper/trace/opentracing/opentracing_test.go:42): client, call wrapper and handler are three spans of one trace.
#[tokio::test]
async fn client_call_and_handler_are_three_spans_of_one_trace() {
    let (telescope, fleet) = (Telescope::new(), Traced::of(1).await);
    say(&fleet.client(Attempts::Always)).await.unwrap();
    let seen = telescope.until(3).await;
    let expected = "\
greeter.Greeter/SayHello CLIENT OK
  greeter.Greeter/SayHello attempt INTERNAL OK
    greeter.Greeter/SayHello SERVER OK
";
    assert_eq!(tree(&seen), expected);
    let (call, attempt) = (&seen[0], &seen[1]);
    assert_eq!(call.get("rpc.system.name"), "grpc");
    assert_eq!(call.get("server.address"), "greeter");
    let port = format!("int {}", fleet.servers[0].address().port());
    for span in [call, attempt] {
        assert_eq!(span.get("network.peer.address"), "127.0.0.1");
        assert_eq!(span.get("network.peer.port"), port);
        assert_eq!(span.get("tower_micro.node.id"), "n0");
    }
    assert_eq!(attempt.get("tower_micro.attempt"), "int 1");
    assert_eq!(call.get("tower_micro.attempts"), "");
}

#[tokio::test]
async fn so_are_they_when_the_handler_fails_and_each_says_so() {
    let (telescope, fleet) = (Telescope::new(), Traced::of(1).await);
    fleet.fail(0, Status::internal("out of paper"));
    say(&fleet.client(Attempts::Always)).await.unwrap_err();
    let seen = telescope.until(3).await;
    let expected = "\
greeter.Greeter/SayHello CLIENT INTERNAL !
  greeter.Greeter/SayHello attempt INTERNAL INTERNAL !
    greeter.Greeter/SayHello SERVER INTERNAL !
";
    assert_eq!(tree(&seen), expected);
    assert_eq!(seen[0].description, "out of paper");
    assert!(seen.iter().all(|span| span.get("error.type") == "INTERNAL"));
    assert_eq!(seen[1].get("tower_micro.disposition"), "processed");
}

#[tokio::test]
async fn what_is_the_callers_fault_is_no_error_of_the_server() {
    let (telescope, fleet) = (Telescope::new(), Traced::of(1).await);
    fleet.fail(0, Status::not_found("nobody"));
    say(&fleet.client(Attempts::OnRetry)).await.unwrap_err();
    let expected = "\
greeter.Greeter/SayHello CLIENT NOT_FOUND !
  - attempt failed
  greeter.Greeter/SayHello SERVER NOT_FOUND
";
    assert_eq!(tree(&telescope.until(2).await), expected);
}

#[tokio::test]
async fn names_are_those_of_go_micro_or_grpc_if_they_are_asked_for() {
    for (names, expected) in [
        (Names::GoMicro, ["greeter.Greeter.SayHello"; 3]),
        (
            Names::Grpc,
            [
                "Sent.greeter.Greeter.SayHello",
                "Attempt.greeter.Greeter.SayHello",
                "Recv.greeter.Greeter.SayHello",
            ],
        ),
    ] {
        let telescope = Telescope::new();
        let fleet = Traced::with(1, HandlerTraceLayer::new().names(names)).await;
        let attempts = AttemptTraceLayer::new().attempts(Attempts::Always);
        let client = Client::builder()
            .registry(fleet.registry())
            .wrap_client(CallTraceLayer::new().names(names))
            .wrap_call(attempts.names(names));
        say(&client.build().unwrap()).await.unwrap();
        let seen = telescope.until(3).await;
        tree(&seen);
        assert_eq!(
            seen.iter().map(|span| &*span.name).collect::<Vec<_>>(),
            expected
        );
        let counted = seen[1].attributes.contains_key("previous-rpc-attempts");
        assert_eq!(counted, names == Names::Grpc);
    }
}

/// The first attempt fails, whichever node it goes to; the second finds the other one well.
async fn recovered(attempts: Attempts) -> (Telescope, Traced) {
    let (telescope, fleet) = (Telescope::new(), Traced::of(2).await);
    fleet.fail(0, Status::unavailable("busy"));
    let client = fleet.client(attempts);
    // Until one call has met the node that is down.
    while fleet.greeters[0].calls() == 0 {
        telescope.until(0).await;
        say(&client).await.unwrap();
    }
    (telescope, fleet)
}

/// The spans of the trace that begins last.
fn last(seen: Vec<crate::tracing_support::Seen>) -> Vec<crate::tracing_support::Seen> {
    let last = seen.iter().rev().find(|span| span.parent.is_empty());
    let trace = last.expect("a root").trace.clone();
    seen.into_iter()
        .filter(|span| span.trace == trace)
        .collect()
}

#[tokio::test]
async fn a_recovered_attempt_leaves_no_error_on_the_call() {
    let (telescope, fleet) = recovered(Attempts::Always).await;
    let sent: usize = fleet.greeters.iter().map(Greeter::calls).sum();
    let calls = fleet.greeters[1].calls();
    let seen = last(telescope.until(calls + 2 * sent).await);
    let expected = "\
greeter.Greeter/SayHello CLIENT OK
  greeter.Greeter/SayHello attempt INTERNAL UNAVAILABLE !
    greeter.Greeter/SayHello SERVER UNAVAILABLE !
  greeter.Greeter/SayHello attempt INTERNAL OK
    greeter.Greeter/SayHello SERVER OK
";
    assert_eq!(tree(&seen), expected);
    assert_eq!(seen[0].get("tower_micro.attempts"), "int 2");
    assert_eq!(seen[0].get("tower_micro.node.id"), "n1");
}

#[tokio::test]
async fn a_first_attempt_that_fails_is_an_event_and_its_handler_hangs_under_the_call() {
    let (telescope, fleet) = recovered(Attempts::OnRetry).await;
    let calls = fleet.greeters[1].calls();
    let seen = last(telescope.until(2 * calls + 2).await);
    let expected = "\
greeter.Greeter/SayHello CLIENT OK
  - attempt failed
  greeter.Greeter/SayHello SERVER UNAVAILABLE !
  greeter.Greeter/SayHello attempt INTERNAL OK
    greeter.Greeter/SayHello SERVER OK
";
    assert_eq!(tree(&seen), expected);
}

#[tokio::test]
async fn without_attempt_spans_all_handlers_hang_under_the_call() {
    let (telescope, fleet) = recovered(Attempts::Off).await;
    let calls = fleet.greeters[1].calls();
    let seen = last(telescope.until(2 * calls + 1).await);
    let expected = "\
greeter.Greeter/SayHello CLIENT OK
  - attempt failed
  greeter.Greeter/SayHello SERVER UNAVAILABLE !
  greeter.Greeter/SayHello SERVER OK
";
    assert_eq!(tree(&seen), expected);
    assert_eq!(seen[0].get("tower_micro.attempts"), "int 2");
}

#[tokio::test]
async fn a_call_that_fails_for_good_names_the_node_it_failed_on_last() {
    let (telescope, fleet) = (Telescope::new(), Traced::of(1).await);
    fleet.fail(0, Status::unavailable("busy"));
    say(&fleet.client(Attempts::Always)).await.unwrap_err();
    let seen = telescope.until(7).await;
    assert_eq!(
        tree(&seen)
            .matches("attempt INTERNAL UNAVAILABLE !")
            .count(),
        3
    );
    assert_eq!(seen[0].get("tower_micro.attempts"), "int 3");
    assert_eq!(seen[0].get("tower_micro.node.id"), "n0");
}

#[tokio::test]
async fn a_deadline_is_told_at_every_level() {
    let (telescope, fleet) = (Telescope::new(), Traced::of(1).await);
    fleet.greeters[0].answer(Answer::Never);
    let options = CallOptions::new()
        .timeout(Duration::from_millis(50))
        .retries(0);
    let client = fleet.client(Attempts::Always);
    let mut stub = greeter(&client);
    let error = soon(stub.say_hello(hello().with_options(options))).await;
    assert_eq!(error.unwrap_err().code(), Code::DeadlineExceeded);
    let seen = telescope.until(3).await;
    let tree = tree(&seen);
    let ours = "\
greeter.Greeter/SayHello CLIENT DEADLINE_EXCEEDED !
  greeter.Greeter/SayHello attempt INTERNAL DEADLINE_EXCEEDED !
";
    // The server is told by a reset or by its own clock, whichever comes first.
    let theirs = [
        "    greeter.Greeter/SayHello SERVER CANCELLED\n",
        "    greeter.Greeter/SayHello SERVER DEADLINE_EXCEEDED !\n",
    ];
    assert!(
        theirs
            .iter()
            .any(|server| tree == format!("{ours}{server}")),
        "{tree}"
    );
    assert_eq!(seen[0].get("error.type"), "deadline");
}

#[tokio::test]
async fn a_service_without_nodes_has_no_attempt() {
    let telescope = Telescope::new();
    let client = Client::builder()
        .registry(Static::new([Service::new("greeter", "latest")]))
        .wrap_client(CallTraceLayer::new())
        .wrap_call(AttemptTraceLayer::new().attempts(Attempts::Always));
    say(&client.build().unwrap()).await.unwrap_err();
    let seen = telescope.seen();
    assert_eq!(
        tree(&seen),
        "greeter.Greeter/SayHello CLIENT UNAVAILABLE !\n"
    );
    assert_eq!(seen[0].get("error.type"), "no_nodes");
}

#[tokio::test]
async fn a_node_that_is_gone_is_a_connect_error_that_was_never_sent() {
    let telescope = Telescope::new();
    let nobody = tower_micro_testkit::closed_port().await.unwrap();
    let client = Client::builder()
        .registry(Static::addresses("greeter", [nobody]).unwrap())
        .options(CallOptions::new().retries(0))
        .wrap_client(CallTraceLayer::new())
        .wrap_call(AttemptTraceLayer::new().attempts(Attempts::Always));
    say(&client.build().unwrap()).await.unwrap_err();
    let seen = telescope.seen();
    tree(&seen);
    assert_eq!(seen[1].get("error.type"), "connect");
    assert_eq!(seen[1].get("tower_micro.disposition"), "never_sent");
}

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
        failed.iter().map(|span| span.status()).collect::<Vec<_>>(),
        ["UNAVAILABLE"; 2]
    );
    assert_eq!(failed[1].parent, failed[0].id);
}
