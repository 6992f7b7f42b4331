//! Servers that end their connections in good order, under load.

use std::{net, time::Duration};

use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};
use tokio_stream::wrappers::TcpListenerStream;
use tower_micro::{CallOptions, Client, Static};
use tower_micro_testkit::{Greeter, TestServer};

use crate::support::{call, server, soon, wired};

/// A client whose calls may not be done twice.
fn client(address: net::SocketAddr) -> Client {
    let registry = Static::addresses("greeter", [address.to_string()]).unwrap();
    let options = CallOptions::new().timeout(Duration::from_secs(20));
    let client = wired().registry(registry);
    client.options(options.idempotent(false)).build().unwrap()
}

/// Calls from several tasks, `each` times; all must succeed.
async fn load(client: &Client, each: usize) -> usize {
    const TASKS: usize = 8;
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let client = client.clone();
        tasks.spawn(async move {
            for _ in 0..each {
                call(&client).await.unwrap();
            }
        });
    }
    soon(tasks.join_all()).await;
    TASKS * each
}

#[tokio::test]
async fn connections_that_grow_old_at_the_server_are_not_seen_by_calls() {
    let greeter = Greeter::new("n0");
    let router = server()
        .max_connection_age(Duration::from_millis(20))
        .add_service(greeter.service());
    let server = TestServer::serve("n0", router).await.unwrap();
    let client = client(server.address());
    let mut calls = 0;
    for _ in 0..10 {
        calls += load(&client, 25).await;
    }
    assert_eq!(greeter.calls(), calls, "each was served once");
}

/// A server on `listener` that ends in good order when it is told to.
fn serve(listener: &net::TcpListener, id: &str) -> (oneshot::Sender<()>, Greeter) {
    let (end, ended) = oneshot::channel::<()>();
    let listener = TcpListener::from_std(listener.try_clone().unwrap()).unwrap();
    let greeter = Greeter::new(id);
    let router = server().add_service(greeter.service());
    tokio::spawn(async move {
        let incoming = TcpListenerStream::new(listener);
        let ended = async { drop(ended.await) };
        router.serve_with_incoming_shutdown(incoming, ended).await
    });
    (end, greeter)
}

#[tokio::test]
async fn a_server_that_takes_over_the_port_of_another_is_not_seen_by_calls() {
    let listener = net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let (mut end, mut greeter) = serve(&listener, "n0");
    let client = client(listener.local_addr().unwrap());
    let (mut calls, mut served) = (0, 0);
    for round in 1..6 {
        let (next, other) = serve(&listener, &format!("n{round}"));
        let before = greeter.calls() + other.calls();
        let (count, ()) = tokio::join!(load(&client, 50), async {
            soon(async {
                while greeter.calls() + other.calls() == before {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            drop(end);
        });
        calls += count;
        served += greeter.calls();
        (end, greeter) = (next, other);
    }
    served += greeter.calls();
    assert_eq!(served, calls, "each was served once");
}
