//! How often a node is dialled, and who waits for it.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::future;
use tokio::{
    io::DuplexStream,
    task::{JoinSet, yield_now},
    time::{Instant, advance, sleep},
};
use tokio_test::assert_pending;
use tower_micro::{
    CallOptions, Client, Connect, Node, PoolOptions, RequestExt, Static, connect::H2,
};
use tower_micro_testkit::{
    Greeter,
    h2_peer::{
        Peer,
        Step::{AwaitRequest, Close, Drop as NeverEnds, Refuse, Serve, Settings, Wait},
    },
};

use crate::support::{builder, call, greeter, hello, soon, start};

pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn client(connect: impl Connect, options: CallOptions) -> Client {
    let registry = Static::addresses("greeter", ["10.0.0.1:1"]).unwrap();
    let client = builder().registry(registry).connect(connect);
    client.options(options).build().unwrap()
}

pub(super) fn once() -> CallOptions {
    CallOptions::new().retries(0)
}

/// Lets it have so many connections to a node at most.
pub(super) fn limit_connections(client: &Client, size: usize) {
    let limited = client.configure(|settings| {
        settings.set_pool(PoolOptions {
            size,
            ..*settings.pool()
        });
    });
    limited.unwrap();
}

#[tokio::test(start_paused = true)]
async fn calls_that_need_the_same_connection_wait_for_one_dial() {
    let peer = Peer::script([Wait(SECOND), Settings, Serve]);
    let client = client(peer.clone(), once());
    let mut calls = JoinSet::new();
    for _ in 0..50 {
        let client = client.clone();
        calls.spawn(async move { call(&client).await.unwrap() });
    }
    calls.join_all().await;
    assert_eq!(peer.seen().dials, 1);
}

#[tokio::test(start_paused = true)]
async fn a_dial_goes_on_when_one_of_those_who_wait_goes_away() {
    let peer = Peer::script([Wait(SECOND), Settings, Serve]);
    let client = client(peer.clone(), once());
    let (mut first, mut second) = (greeter(&client), greeter(&client));
    let mut first = tokio_test::task::spawn(first.say_hello(hello()));
    let mut second = tokio_test::task::spawn(second.say_hello(hello()));
    while peer.seen().dials == 0 {
        assert_pending!(first.poll());
        assert_pending!(second.poll());
        yield_now().await;
    }
    drop(first);
    soon(second).await.unwrap();
    assert_eq!(peer.seen().dials, 1);
}

/// Counts those that are alive.
struct Alive(Arc<AtomicUsize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// A dial that is let go of ends as soon as its task has its turn.
async fn until_ended(alive: &AtomicUsize) {
    while alive.load(SeqCst) > 0 {
        yield_now().await;
    }
}

/// Dials that never end, of which so many are alive.
fn endless() -> (H2, Arc<AtomicUsize>) {
    let alive = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&alive);
    let connect = H2::new().dial(move |_: &Node| {
        counted.fetch_add(1, SeqCst);
        let alive = Alive(Arc::clone(&counted));
        async {
            let _alive = alive;
            future::pending::<io::Result<DuplexStream>>().await
        }
    });
    (connect, alive)
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_nobody_waits_for_ends() {
    let (connect, alive) = endless();
    let client = client(connect, once());
    let mut greeter = greeter(&client);
    let mut dropped = tokio_test::task::spawn(greeter.say_hello(hello()));
    while alive.load(SeqCst) == 0 {
        assert_pending!(dropped.poll());
        yield_now().await;
    }
    drop(dropped);
    until_ended(&alive).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_goes_on_by_itself_ends_with_its_client() {
    let (connect, alive) = endless();
    let client = client(connect, once().timeout(SECOND / 3));
    call(&client).await.unwrap_err();
    until_ended(&alive).await;
    sleep(SECOND / 3).await;
    call(&client).await.unwrap_err();
    sleep(SECOND / 3).await;
    assert_eq!(alive.load(SeqCst), 1);
    drop(client);
    until_ended(&alive).await;
}

/// Calls every ten milliseconds for ten seconds.
async fn insist(client: &Client) -> Vec<String> {
    let end = Instant::now() + 10 * SECOND;
    let mut told = Vec::new();
    while Instant::now() < end {
        told.push(call(client).await.unwrap_err().message().to_owned());
        advance(SECOND / 100).await;
    }
    told
}

#[tokio::test(start_paused = true)]
async fn a_node_that_refuses_is_dialled_less_and_less_often() {
    let peer = Peer::script([Refuse]);
    let client = client(peer.clone(), once());
    let told = insist(&client).await;
    assert!(
        told[0].contains("cannot connect: connection refused"),
        "{}",
        told[0]
    );
    assert!(told[1].contains("not dialled again yet"), "{}", told[1]);
    assert!(told[1].contains("connection refused"), "{}", told[1]);
    // After 0, 0.1, 0.26, 0.52, 0.93, 1.6, 2.6, 4.3, 6.3, 8.3 s, each wait a fifth more or less.
    let dials = peer.seen().dials;
    assert!((8..=13).contains(&dials), "{dials} dials");
}

#[tokio::test(start_paused = true)]
async fn its_delay_starts_anew_when_it_has_spoken() {
    let refuse = || [Refuse];
    let peer = Peer::script(refuse()).then(refuse()).then(refuse());
    let peer = peer
        .then([Settings, AwaitRequest, Wait(SECOND), Close])
        .then(refuse());
    let client = client(peer.clone(), once());
    while peer.seen().requests == 0 {
        let _ = call(&client).await;
        advance(SECOND / 100).await;
    }
    assert_eq!(peer.seen().dials, 4);
    // The fifth dial fails. Were it the fourth failure in a row, the next would be 0.33 s away at least.
    let _ = call(&client).await;
    let fifth = Instant::now();
    while peer.seen().dials < 6 {
        let _ = call(&client).await;
        advance(SECOND / 100).await;
    }
    assert!(fifth.elapsed() < SECOND / 5, "{:?}", fifth.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_accepts_and_says_nothing_is_not_connected() {
    let peer = Peer::script([]);
    let options = once().connect_timeout(SECOND).timeout(9 * SECOND);
    let client = client(peer, options);
    let begun = Instant::now();
    let status = call(&client).await.unwrap_err();
    let told = status.message();
    assert!(told.contains("no connection within 1s"), "{told}");
    assert!(told.contains("accepted and sent no SETTINGS"), "{told}");
    assert_eq!(begun.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_dials_are_given_up_is_not_dialled_for_each_call() {
    let peer = Peer::script([NeverEnds]);
    let client = client(peer.clone(), once().timeout(SECOND / 5));
    for _ in 0..40 {
        let _ = call(&client).await;
    }
    let dials = peer.seen().dials;
    assert!(dials < 15, "{dials} dials for 40 calls");
}

#[tokio::test(start_paused = true)]
async fn callers_that_have_less_time_than_a_connection_takes_come_to_one_too() {
    let peer = Peer::script([Wait(SECOND), Settings, Serve]);
    let client = client(peer.clone(), once().timeout(SECOND / 3));
    let mut calls = 1;
    while call(&client).await.is_err() {
        calls += 1;
        assert!(calls < 100, "{} dials", peer.seen().dials);
        sleep(SECOND / 10).await;
    }
    assert_eq!(peer.seen().dials, 2);
}

#[tokio::test(start_paused = true)]
async fn so_do_callers_that_have_hardly_any_time() {
    let peer = Peer::script([Wait(SECOND / 5), Settings, Serve]);
    let client = client(peer.clone(), once().timeout(SECOND / 20));
    let mut calls = 1;
    while call(&client).await.is_err() {
        calls += 1;
        assert!(calls < 100, "{} dials", peer.seen().dials);
        sleep(SECOND / 100).await;
    }
    assert_eq!(peer.seen().dials, 2);
}

async fn panics() -> io::Result<DuplexStream> {
    sleep(SECOND).await;
    panic!("no sockets today")
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_panics_fails_for_all_who_wait_for_it() {
    let connect = H2::new().dial(|_: &Node| panics());
    let client = client(connect, once());
    let mut calls = JoinSet::new();
    for _ in 0..3 {
        let mut greeter = greeter(&client);
        calls.spawn(async move { greeter.say_hello(hello()).await.unwrap_err() });
    }
    for status in calls.join_all().await {
        assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
        let told = status.message();
        assert!(
            told.contains("the dial panicked: no sockets today"),
            "{told}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn each_dial_has_the_connect_timeout_of_the_call_that_began_it() {
    let client = client(Peer::script([]), once().timeout(100 * SECOND));
    for timeout in [SECOND, 9 * SECOND, 2 * SECOND] {
        let options = CallOptions::new().connect_timeout(timeout);
        let begun = Instant::now();
        let request = hello().with_options(options);
        greeter(&client).say_hello(request).await.unwrap_err();
        assert_eq!(begun.elapsed().as_secs(), timeout.as_secs());
        sleep(9 * SECOND).await;
    }
}

// Its request has not been sent, so that it is sent once all the same.
#[tokio::test]
async fn a_call_that_may_be_done_only_once_goes_elsewhere_when_a_node_takes_no_connection() {
    let served = Greeter::new("n1").service();
    let server = start("n1", served).await.unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addresses = [silent.local_addr().unwrap(), server.address()];
    let own_time = CallOptions::new().attempt_timeout(SECOND / 5);
    for options in [CallOptions::new(), own_time] {
        let registry = Static::addresses("greeter", addresses.map(|at| at.to_string())).unwrap();
        let client = builder().registry(registry);
        let client = client.options(options.timeout(SECOND * 3 / 2));
        let client = client.build().unwrap();
        let calls = (0..8).map(|_| call(&client));
        for reply in future::join_all(calls).await {
            assert_eq!(reply.unwrap().node, "n1");
        }
    }
}

// More than there is budget for would have to.
#[tokio::test(start_paused = true)]
async fn where_nothing_is_connected_a_call_stays_with_the_node_it_began_with() {
    let peer = Peer::script([Wait(SECOND * 2), Settings, Serve]);
    let registry = Static::addresses("greeter", ["10.0.0.1:1", "10.0.0.2:1"]).unwrap();
    let client = builder().registry(registry).connect(peer.clone());
    let client = client.build().unwrap();
    let begun = Instant::now();
    let calls = (0..300).map(|_| call(&client));
    for reply in future::join_all(calls).await {
        reply.unwrap();
    }
    assert_eq!(begun.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_takes_longer_than_an_attempt_waits_is_there_for_the_next() {
    for idempotent in [false, true] {
        let peer = Peer::script([Wait(SECOND * 3), Settings, Serve]);
        let options = CallOptions::new().idempotent(idempotent);
        let client = client(peer.clone(), options.timeout(5 * SECOND));
        let begun = Instant::now();
        call(&client).await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), 3);
        assert_eq!(peer.seen().dials, 1);
    }
}
