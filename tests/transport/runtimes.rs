//! Clients that outlive a runtime.

use std::{
    future::{Future, poll_fn},
    net::TcpListener,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::Poll,
    thread,
    time::Duration,
};

use tokio::{
    net::TcpStream,
    runtime::{Builder, Runtime},
    sync::watch,
    task::yield_now,
};
use tonic::Code;
use tower_micro::{CallOptions, Client, Connect, Node, Static, connect};
use tower_micro_testkit::{Answer, Greeter, TestServer};

use crate::support::{Traceable, builder, call, soon, start};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A runtime that is driven by a thread of its own.
fn threads() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

/// Calls of one client from two runtimes, of which the first ends, to a server in a third.
fn outlives_a_runtime(connect: impl Connect) {
    let servers = threads();
    let server = servers.block_on(start("n0", Greeter::new("n0").service()));
    let nodes = [server.as_ref().unwrap().address().to_string()];
    let registry = Static::addresses("greeter", nodes).unwrap();
    let client: Client = builder()
        .registry(registry)
        .connect(connect)
        .build()
        .unwrap();
    for runtime in [runtime(), runtime(), runtime()] {
        for _ in 0..3 {
            runtime.block_on(call(&client)).unwrap();
        }
    }
}

#[test]
fn a_client_outlives_the_runtime_of_its_first_call() {
    outlives_a_runtime(connect::H2::new());
}

#[test]
fn so_does_one_with_tonics_channels() {
    outlives_a_runtime(connect::Tonic::new());
}

/// A server in a runtime of its own, and a client of it that gives each call one attempt.
fn serving() -> (Runtime, TestServer, Traceable<connect::H2>) {
    let servers = threads();
    let server = servers.block_on(start("n0", Greeter::new("n0").service()));
    let server = server.unwrap();
    let registry = Static::addresses("greeter", [server.address().to_string()]).unwrap();
    let builder = builder().registry(registry);
    let builder = builder.options(CallOptions::new().retries(0));
    (servers, server, builder)
}

async fn polled_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

#[test]
fn a_call_that_waits_for_the_registry_survives_the_runtime_in_which_it_was_asked() {
    let (_servers, _server, builder) = serving();
    let client = builder.build().unwrap();
    let (first, second) = (runtime(), runtime());
    let mut begins = Box::pin(call(&client));
    assert!(first.block_on(polled_once(&mut begins)).is_pending());
    let mut waits = Box::pin(call(&client));
    assert!(second.block_on(polled_once(&mut waits)).is_pending());
    drop(begins);
    drop(first);
    second.block_on(soon(waits)).unwrap();
}

#[test]
fn a_call_survives_the_runtime_that_began_the_dial_it_waits_for() {
    let (_servers, server, builder) = serving();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let addresses = [silent.local_addr().unwrap(), server.address()];
    let dials = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&dials);
    // A peer that accepts and says nothing, then the server.
    let connect = connect::H2::new().dial(move |_: &Node| {
        let number = counted.fetch_add(1, SeqCst);
        TcpStream::connect(addresses[number.min(1)])
    });
    let client = builder.connect(connect).build().unwrap();
    let (first, second) = (runtime(), runtime());
    let mut begins = Box::pin(call(&client));
    first.block_on(async {
        while dials.load(SeqCst) == 0 {
            assert!(polled_once(&mut begins).await.is_pending());
            yield_now().await;
        }
    });
    let mut waits = Box::pin(call(&client));
    assert!(second.block_on(polled_once(&mut waits)).is_pending());
    assert_eq!(dials.load(SeqCst), 1, "they wait for one dial");
    drop(begins);
    drop(first);
    second.block_on(soon(waits)).unwrap();
    assert_eq!(dials.load(SeqCst), 2);
}

#[test]
fn a_connection_belongs_to_the_runtime_that_began_its_dial_whoever_drove_it_on() {
    let (_servers, server, builder) = serving();
    let address = server.address();
    let dials = Arc::new(AtomicUsize::new(0));
    let (go, gone) = watch::channel(false);
    let counted = Arc::clone(&dials);
    let connect = connect::H2::new().dial(move |_: &Node| {
        counted.fetch_add(1, SeqCst);
        let mut gone = gone.clone();
        async move {
            gone.wait_for(|gone| *gone).await.unwrap();
            TcpStream::connect(address).await
        }
    });
    let client = builder.connect(connect).build().unwrap();
    let first = threads();
    let mut begins = Box::pin(call(&client));
    first.block_on(async {
        while dials.load(SeqCst) == 0 {
            assert!(polled_once(&mut begins).await.is_pending());
            yield_now().await;
        }
    });
    go.send(true).unwrap();
    let second = runtime();
    second.block_on(soon(call(&client))).unwrap();
    drop(second);
    first.block_on(soon(begins)).unwrap();
    first.block_on(soon(call(&client))).unwrap();
    assert_eq!(dials.load(SeqCst), 1);
}

/// Calls from two runtimes on one connection, whose runtime ends.
fn ends_with_its_runtime(connect: impl Connect, end: impl FnOnce(Runtime)) {
    let (servers, _server, builder) = serving();
    let greeter = Greeter::new("never");
    greeter.answer(Answer::Never);
    let silent = servers.block_on(start("n1", greeter.service())).unwrap();
    let registry = Static::addresses("greeter", [silent.address().to_string()]).unwrap();
    let client: Client = builder.registry(registry).connect(connect).build().unwrap();
    let (first, second) = (threads(), runtime());
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            first.spawn(async move { call(&client).await })
        })
        .collect();
    while greeter.calls() < 20 {
        thread::yield_now();
    }
    let mut other = Box::pin(call(&client));
    second.block_on(async {
        while greeter.calls() < 21 {
            assert!(polled_once(&mut other).await.is_pending());
            yield_now().await;
        }
    });
    end(first);
    let status = second.block_on(soon(other)).unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    for call in calls {
        let end = second.block_on(soon(call));
        assert!(end.unwrap_err().is_cancelled());
    }
    greeter.answer(Answer::Hello);
    second.block_on(soon(call(&client))).unwrap();
}

#[test]
fn calls_under_way_end_with_the_runtime_of_their_connection_and_the_next_has_another() {
    ends_with_its_runtime(connect::H2::new(), Runtime::shutdown_background);
    ends_with_its_runtime(connect::H2::new(), drop);
}

#[test]
fn so_do_those_on_tonics_channels() {
    let patience = Duration::from_secs(20);
    ends_with_its_runtime(connect::Tonic::new(), |first| {
        first.shutdown_timeout(patience);
    });
}
