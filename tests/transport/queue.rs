//! Calls that wait for a stream.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use futures_util::{Stream, stream};
use tokio::{
    task::{JoinHandle, yield_now},
    time::sleep,
};
use tokio_test::assert_pending;
use tonic::{Code, Status};
use tower_micro::{
    CallOptions, Client, PoolOptions, RequestExt, Static, Strategy,
    crates::selector::{Candidates, Turn},
};
use tower_micro_testkit::{
    h2_peer::{
        Peer,
        Step::{
            self, AwaitHeaders, AwaitRequest, Break, Close, Drop as NeverEnds, Frame, Goaway,
            MaxStreams, Refuse, Serve, Settings, Wait, WindowUpdate,
        },
        reason::NO_ERROR,
    },
    proto::chat::{Line, Number, chat_client::ChatClient},
};

use super::dials::{SECOND, client, limit_connections, once};
use crate::support::{builder, call, greeter, hello, soon};

/// A client with one connection at most.
fn narrow(peer: &Peer) -> Client {
    sized(peer, 1)
}

/// A client with so many connections at most.
fn sized(peer: &Peer, size: usize) -> Client {
    let client = client(peer.clone(), once().timeout(100 * SECOND));
    limit_connections(&client, size);
    client
}

fn begin(client: &Client) -> JoinHandle<Result<(), Status>> {
    let mut greeter = greeter(client);
    tokio::spawn(async move { greeter.say_hello(hello()).await.map(drop) })
}

fn max_streams(count: u32) -> Step {
    let payload = [&[0, 3][..], &count.to_be_bytes()].concat();
    Frame {
        kind: 4,
        flags: 0,
        stream: 0,
        payload,
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_does_not_wait_for_a_stream_while_another_connection_has_room() {
    let peer = Peer::script([MaxStreams(1), AwaitRequest]).then([Settings, Serve]);
    let client = client(peer.clone(), once());
    let busy = begin(&client);
    soon(peer.has_seen(|seen| seen.requests == 1)).await;
    let served = begin(&client);
    soon(served).await.unwrap().unwrap();
    assert!(!busy.is_finished());
}

#[tokio::test(start_paused = true)]
async fn requests_do_not_wait_for_a_stream_while_another_connection_is_being_opened() {
    let peer = Peer::script([MaxStreams(1), AwaitRequest]).then([Wait(SECOND), Settings, Serve]);
    let client = client(peer.clone(), once());
    let busy = begin(&client);
    soon(peer.has_seen(|seen| seen.requests == 1)).await;
    for served in [begin(&client), begin(&client), begin(&client)] {
        soon(served).await.unwrap().unwrap();
    }
    assert!(!busy.is_finished());
    assert_eq!(peer.seen().dials, 2);
}

async fn one_is_served_beside_a_busy_one(peer: &Peer, client: &Client) {
    let busy = begin(client);
    soon(peer.has_seen(|seen| seen.requests == 1)).await;
    soon(begin(client)).await.unwrap().unwrap();
    assert!(!busy.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_for_a_stream_goes_elsewhere_when_its_connection_takes_no_more() {
    let goes = Goaway {
        last: 1,
        reason: NO_ERROR,
    };
    let first = [MaxStreams(1), AwaitRequest, Wait(SECOND), goes];
    let peer = Peer::script(first).then([Settings, Serve]);
    let client = narrow(&peer);
    one_is_served_beside_a_busy_one(&peer, &client).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_is_served_by_another_connection_while_its_own_cannot_be_opened_again()
{
    let goes = Goaway {
        last: 1,
        reason: NO_ERROR,
    };
    let greets = [Step::answer(), Step::greeting(), Step::status("0")];
    for again in [NeverEnds, Refuse] {
        let first = [MaxStreams(1), AwaitRequest, Wait(2 * SECOND), goes.clone()];
        let second = [MaxStreams(1), AwaitRequest, Wait(3 * SECOND)];
        let second = second.into_iter().chain(greets.clone()).chain([Serve]);
        let peer = Peer::script(first).then(second).then([again]);
        let client = sized(&peer, 2);
        let mut busy = Vec::new();
        for requests in 1..=2 {
            busy.push(begin(&client));
            soon(peer.has_seen(move |seen| seen.requests == requests)).await;
        }
        // Some of them were given the one connection, some the other.
        let wait: Vec<_> = (0..6).map(|_| begin(&client)).collect();
        for waits in wait {
            soon(waits).await.unwrap().unwrap();
        }
        drop(busy);
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_stream_gets_one_before_who_comes_later() {
    let peer = Peer::script([MaxStreams(1), Serve]);
    let client = narrow(&peer);
    let calls = AtomicUsize::new(0);
    let insists = async {
        for _ in 0..100 {
            call(&client).await.unwrap();
            calls.fetch_add(1, SeqCst);
        }
    };
    let waits = async {
        while calls.load(SeqCst) < 3 {
            yield_now().await;
        }
        call(&client).await.unwrap();
        calls.load(SeqCst)
    };
    let ((), before) = soon(async { tokio::join!(insists, waits) }).await;
    assert!(before < 10, "{before} calls were served before it");
}

#[tokio::test(start_paused = true)]
async fn streams_that_a_peer_allows_later_are_used() {
    let first = [
        MaxStreams(1),
        AwaitRequest,
        Wait(SECOND),
        max_streams(9),
        Serve,
    ];
    let peer = Peer::script(first);
    let client = narrow(&peer);
    one_is_served_beside_a_busy_one(&peer, &client).await;
}

#[tokio::test(start_paused = true)]
async fn streams_that_a_peer_allows_no_more_are_not_waited_for_on_its_connection() {
    let first = [MaxStreams(9), AwaitRequest, max_streams(1)];
    let peer = Peer::script(first).then([Settings, Serve]);
    let client = client(peer.clone(), once().timeout(100 * SECOND));
    let busy = begin(&client);
    soon(peer.has_seen(|seen| seen.requests == 1)).await;
    // The client hears what the peer allows.
    sleep(SECOND).await;
    soon(begin(&client)).await.unwrap().unwrap();
    assert_eq!(peer.seen().dials, 2);
    assert!(!busy.is_finished());
}

#[tokio::test(start_paused = true)]
async fn nor_by_streams_which_may_wait_for_long() {
    let first = [MaxStreams(9), AwaitHeaders, max_streams(1)];
    let peer = Peer::script(first).then([Settings, AwaitHeaders]);
    let client = client(peer.clone(), once());
    let talk = || {
        let mut chat = ChatClient::new(client.channel("greeter"));
        tokio::spawn(async move { chat.talk(stream::pending()).await.map(drop) })
    };
    let _busy = talk();
    soon(peer.has_seen(|seen| seen.requests == 1)).await;
    // The client hears what the peer allows.
    sleep(SECOND).await;
    let _next = talk();
    soon(peer.has_seen(|seen| (seen.dials, seen.requests) == (2, 2))).await;
}

#[tokio::test(start_paused = true)]
async fn requests_that_come_together_are_spread_over_connections() {
    let peer = Peer::script([MaxStreams(2), AwaitHeaders]);
    let client = client(peer.clone(), once().timeout(100 * SECOND));
    let all: Vec<_> = (0..8).map(|_| begin(&client)).collect();
    soon(peer.has_seen(|seen| seen.requests == 8)).await;
    assert_eq!(peer.seen().dials, 4);
    drop(all);
}

#[tokio::test(start_paused = true)]
async fn requests_that_came_together_get_no_more_connections_than_there_may_be() {
    let peer = Peer::script([MaxStreams(1), AwaitHeaders]);
    let client = sized(&peer, 3);
    let all: Vec<_> = (0..8).map(|_| begin(&client)).collect();
    sleep(90 * SECOND).await;
    assert_eq!((peer.seen().requests, peer.seen().dials), (3, 3));
    drop(all);
}

/// The first node for the first attempt, the second for the next.
#[derive(Debug)]
struct InOrder;

impl Strategy for InOrder {
    fn pick(&self, nodes: &Candidates, turn: &Turn) -> Option<usize> {
        (turn.number as usize).checked_rem(nodes.len())
    }

    fn name(&self) -> &'static str {
        "in order"
    }
}

// Whatever the method: nothing was sent.
#[tokio::test(start_paused = true)]
async fn who_waits_for_a_stream_goes_to_another_node_when_its_own_cannot_be_reached_any_more() {
    const OTHER: &str = "10.0.0.2:1";
    let peer = Peer::script([MaxStreams(1), AwaitRequest, Wait(SECOND), Close]);
    let peer = peer.then([Settings, Serve]).then([NeverEnds]);
    let registry = Static::addresses("greeter", ["10.0.0.1:1", OTHER]).unwrap();
    let client = builder().registry(registry).connect(peer.clone());
    let options = CallOptions::new().timeout(4 * SECOND).strategy(InOrder);
    let client = client.options(options).build().unwrap();
    limit_connections(&client, 1);
    let busy = begin(&client);
    soon(peer.has_seen(|seen| seen.requests == 1)).await;
    let to_other = CallOptions::new().address([OTHER]);
    let request = hello().with_options(to_other);
    soon(greeter(&client).say_hello(request)).await.unwrap();
    soon(begin(&client)).await.unwrap().unwrap();
    assert_eq!(peer.seen().dials, 3);
    soon(busy).await.unwrap().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_while_it_waits_leaves_its_turn_to_the_next() {
    let greets = [Step::answer(), Step::greeting(), Step::status("0")];
    let first = [MaxStreams(1), AwaitRequest, Wait(SECOND)];
    let peer = Peer::script(first.into_iter().chain(greets).chain([Serve]));
    let client = narrow(&peer);
    let busy = begin(&client);
    soon(peer.has_seen(|seen| seen.requests == 1)).await;
    let (mut greeter, mut other) = (greeter(&client), greeter(&client));
    let mut leaves = tokio_test::task::spawn(greeter.say_hello(hello()));
    let mut next = tokio_test::task::spawn(other.say_hello(hello()));
    assert_pending!(leaves.poll());
    assert_pending!(next.poll());
    busy.await.unwrap().unwrap();
    // It is its turn now, and it does not take it.
    drop(leaves);
    soon(next).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_forgotten_who_waits_among_many_that_come_and_go() {
    let peer = Peer::script([MaxStreams(3), Serve]);
    let client = narrow(&peer);
    let (stay, go): (Vec<_>, Vec<_>) = (0..1000).map(|_| (begin(&client), begin(&client))).unzip();
    for call in go {
        yield_now().await;
        call.abort();
    }
    for call in stay {
        soon(call).await.unwrap().unwrap();
    }
}

/// SETTINGS_INITIAL_WINDOW_SIZE.
fn window(bytes: u32) -> Step {
    let payload = [&[0, 4][..], &bytes.to_be_bytes()].concat();
    Frame {
        kind: 4,
        flags: 0,
        stream: 0,
        payload,
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_waits_for_room_is_not_sent_when_its_call_is_let_go_of() {
    let room = [window(0), Settings, Wait(SECOND), window(1000)];
    // It breaks the connection if it sees the whole of the message all the same.
    let peer = Peer::script(room.into_iter().chain([AwaitRequest, Break]));
    let client = narrow(&peer);
    // The client hears what the peer allows.
    sleep(SECOND / 4).await;
    let gone = begin(&client);
    sleep(SECOND / 4).await;
    gone.abort();
    soon(peer.has_seen(|seen| seen.resets == 1)).await;
    sleep(2 * SECOND).await;
    let next = begin(&client);
    sleep(SECOND).await;
    assert_eq!(peer.seen().dials, 1);
    drop(next);
}

/// A call whose message is larger than the window of its stream.
async fn call_in_full(client: &Client) -> Status {
    let mut greeter = greeter(client);
    let mut request = hello();
    request.get_mut().name = "n".repeat(100_000);
    soon(greeter.say_hello(request)).await.unwrap_err()
}

/// What was sent counts for the connection too.
fn room_for_others() -> Step {
    WindowUpdate {
        stream: 0,
        by: 65_535,
    }
}

// As a peer may that needs no more to know that the caller is nobody (RFC 9113 §8.1), and need not reset the stream.
#[tokio::test(start_paused = true)]
async fn a_request_that_is_answered_before_all_of_it_is_sent_takes_no_stream_from_others() {
    let nobody = Step::trailers([(":status", "200"), ("grpc-status", "16")]);
    let peer = Peer::script([
        MaxStreams(1),
        AwaitHeaders,
        nobody,
        room_for_others(),
        Serve,
    ]);
    let client = narrow(&peer);
    let status = call_in_full(&client).await;
    assert_eq!(status.code(), Code::Unauthenticated);
    soon(begin(&client)).await.unwrap().unwrap();
    let seen = peer.seen();
    assert_eq!((seen.dials, seen.resets), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn so_does_none_whose_stream_of_messages_is() {
    let nobody = Step::trailers([(":status", "200"), ("grpc-status", "16")]);
    let first = [MaxStreams(1), AwaitHeaders, Wait(SECOND), nobody];
    let peer = Peer::script(first.into_iter().chain([room_for_others(), Serve]));
    let client = narrow(&peer);
    let mut chat = ChatClient::new(client.channel("greeter"));
    let line = Line {
        text: "n".repeat(100_000),
        ..Line::default()
    };
    let later = async {
        yield_now().await;
        line
    };
    let status = soon(chat.talk(stream::once(later))).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    soon(begin(&client)).await.unwrap().unwrap();
    let seen = peer.seen();
    assert_eq!((seen.dials, seen.resets), (1, 1));
}

/// Numbers, the first of which is not there at once.
fn numbers() -> impl Stream<Item = Number> + Send + 'static {
    let first = async {
        yield_now().await;
        Number { value: 1 }
    };
    stream::once(first)
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_waits_to_be_opened_goes_on_whoever_comes_meanwhile() {
    let served = [Step::answer(), Step::greeting(), Step::status("0")];
    let first = [MaxStreams(9), AwaitRequest, max_streams(1), Wait(SECOND)];
    let told = Step::trailers([(":status", "200"), ("grpc-status", "5")]);
    let then = [AwaitRequest, told, Serve];
    let peer = Peer::script(first.into_iter().chain(served).chain(then));
    let client = narrow(&peer);
    let busy = begin(&client);
    soon(peer.has_seen(|seen| seen.requests == 1)).await;
    sleep(SECOND / 2).await;
    let mut chat = ChatClient::new(client.channel("greeter"));
    let opens = tokio::spawn(async move { chat.sum(numbers()).await });
    sleep(SECOND / 4).await;
    let comes = begin(&client);
    for call in [busy, comes] {
        soon(call).await.unwrap().unwrap();
    }
    let status = soon(opens).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_on_an_old_connection_goes_to_the_next_one() {
    let peer = Peer::script([MaxStreams(1), AwaitRequest]).then([Settings, Serve]);
    let client = narrow(&peer);
    let aging = client.configure(|settings| {
        settings.set_pool(PoolOptions {
            ttl: Some(60 * SECOND),
            ..*settings.pool()
        });
    });
    aging.unwrap();
    let busy = begin(&client);
    soon(peer.has_seen(|seen| seen.requests == 1)).await;
    let waits = begin(&client);
    sleep(61 * SECOND).await;
    call(&client).await.unwrap();
    soon(waits).await.unwrap().unwrap();
    assert!(!busy.is_finished());
    assert_eq!(peer.seen().dials, 2);
}
