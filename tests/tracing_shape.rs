//! The shape of traces: what hangs under what, over real servers and a real collector.

use std::{ops::Deref, time::Duration};

use tonic::{Code, Status, transport::Server};
use tower_micro::{
    AttemptTraceLayer, Attempts, CallOptions, CallTraceLayer, Client, HandlerTraceLayer, Names,
    RequestExt, Service, Static,
};
use tower_micro_testkit::{Answer, Greeter, TestServer, proto::greeter::HelloReply};

use crate::{
    support::{Fleet, greeter, hello, soon},
    tracing_support::{Seen, Telescope},
    tracing_table::tree,
};

/// Real servers whose handlers are traced.
pub(crate) struct Traced(Fleet);

impl Deref for Traced {
    type Target = Fleet;

    fn deref(&self) -> &Fleet {
        &self.0
    }
}

impl Traced {
    pub(crate) async fn of(count: usize) -> Self {
        Self::with(count, HandlerTraceLayer::new()).await
    }

    pub(crate) async fn with(count: usize, layer: HandlerTraceLayer) -> Self {
        let serve = async |id, greeter: &Greeter| {
            let mut server = Server::builder().layer(layer.clone());
            TestServer::serve(id, server.add_service(greeter.service())).await
        };
        Self(Fleet::served_by(count, serve).await)
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

    pub(crate) fn fail(&self, node: usize, status: Status) {
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
        say(&client).await.unwrap();
    }
    (telescope, fleet)
}

/// The spans of the trace that begins last.
pub(crate) fn last(seen: Vec<Seen>) -> Vec<Seen> {
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

/// The spans of a call whose node hangs. It has more time each time that the node was not reached within it.
async fn met_its_deadline() -> Vec<Seen> {
    let mut time = Duration::from_millis(50);
    loop {
        let (telescope, fleet) = (Telescope::new(), Traced::of(1).await);
        fleet.greeters[0].answer(Answer::Never);
        let options = CallOptions::new().timeout(time).retries(0);
        let client = fleet.client(Attempts::Always);
        let mut stub = greeter(&client);
        let error = soon(stub.say_hello(hello().with_options(options))).await;
        assert_eq!(error.unwrap_err().code(), Code::DeadlineExceeded);
        if fleet.greeters[0].calls() > 0 {
            return telescope.until(3).await;
        }
        time *= 2;
    }
}

#[tokio::test]
async fn a_deadline_is_told_at_every_level() {
    let seen = met_its_deadline().await;
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
