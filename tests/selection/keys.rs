//! Calls of one key go to one node.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{task::yield_now, time::sleep};
use tonic::Status;
use tower_micro::{CallOptions, Client, Memory, Outlier, Registry, RingHash, Static};
use tower_micro_testkit::Scripted;

use super::{ask, known::registered, nodes_of, on};
use crate::support::{builder, failing, greeting, node_of, number_of, soon};

const KEYS: usize = 40;

fn of(key: usize) -> CallOptions {
    CallOptions::new().hash_key(format!("user {key}"))
}

/// The node of each key.
async fn nodes(client: &Client) -> Vec<String> {
    let mut nodes = Vec::new();
    for key in 0..KEYS {
        nodes.push(ask(client, of(key)).await.unwrap());
    }
    nodes
}

fn by_key(registry: impl Registry) -> Client {
    let options = CallOptions::new().strategy(RingHash);
    nodes_of(registry).options(options).build().unwrap()
}

#[tokio::test]
async fn every_client_sends_the_calls_of_a_key_to_the_same_node() {
    let one = by_key(Static::new([on(["a", "b", "c"])]));
    let other = by_key(Static::new([on(["c", "a", "b"])]));
    let nodes_of_one = nodes(&one).await;
    assert_eq!(nodes_of_one, nodes(&one).await);
    assert_eq!(nodes_of_one, nodes(&other).await);
    for node in ["a", "b", "c"] {
        assert!(nodes_of_one.iter().any(|other| other == node), "{node}");
    }
}

#[tokio::test]
async fn keys_move_when_their_node_goes_and_come_back_with_it() {
    let registry = Memory::new();
    registered(&registry, on(["a", "b", "c"])).await;
    let client = by_key(registry.clone());
    let before = nodes(&client).await;

    registry.deregister(&on(["b"])).await.unwrap();
    let went = async |client: &Client| !nodes(client).await.contains(&"b".to_owned());
    soon(async {
        while !went(&client).await {
            yield_now().await;
        }
    })
    .await;
    let after = nodes(&client).await;
    for (before, after) in before.iter().zip(&after) {
        assert!(before == after || before == "b", "{before} {after}");
    }

    registered(&registry, on(["b"])).await;
    soon(async {
        while nodes(&client).await != before {
            yield_now().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn keys_of_a_node_that_is_out_go_elsewhere_until_it_is_back() {
    let ill = Arc::new(AtomicBool::new(false));
    let is_ill = Arc::clone(&ill);
    let connect = Scripted::new(move |request| {
        let node = node_of(&request);
        let fails = node == "b" && is_ill.load(SeqCst);
        async move {
            Ok(if fails {
                failing(Status::unavailable("busy"))
            } else {
                greeting(node)
            })
        }
    });
    let options = CallOptions::new().strategy(RingHash).idempotent(true);
    let client = builder()
        .registry(Static::new([on(["a", "b", "c"])]))
        .health(Outlier::default().ejected_for(Duration::from_secs(60)))
        .connect(connect)
        .options(options)
        .build()
        .unwrap();
    let before = nodes(&client).await;

    ill.store(true, SeqCst);
    let after = nodes(&client).await;
    for (before, after) in before.iter().zip(&after) {
        assert!(if before == "b" {
            after != "b"
        } else {
            before == after
        });
    }

    ill.store(false, SeqCst);
    sleep(Duration::from_secs(61)).await;
    let probe = before.iter().position(|node| node == "b").unwrap();
    assert_eq!(ask(&client, of(probe)).await.unwrap(), "b");
    assert_eq!(nodes(&client).await, before);
}

#[tokio::test]
async fn a_retry_of_a_key_goes_to_the_node_that_would_have_it_next() {
    let tried = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&tried);
    let connect = Scripted::new(move |request| {
        let (node, number) = (node_of(&request), number_of(&request));
        seen.lock().unwrap().push(node.clone());
        async move {
            Ok(match number {
                0 => failing(Status::unavailable("busy")),
                _ => greeting(node),
            })
        }
    });
    let options = CallOptions::new().strategy(RingHash).idempotent(true);
    let client = builder()
        .registry(Static::new([on(["a", "b", "c"])]))
        .connect(connect)
        .options(options)
        .build()
        .unwrap();
    let without = |gone: &str| {
        let rest: Vec<_> = ["a", "b", "c"]
            .into_iter()
            .filter(|id| *id != gone)
            .collect();
        by_key(Static::new([on([rest[0], rest[1]])]))
    };
    for key in 0..5 {
        ask(&client, of(key)).await.unwrap();
        let tried = std::mem::take(&mut *tried.lock().unwrap());
        assert_eq!(tried.len(), 2, "{tried:?}");
        assert_eq!(ask(&without(&tried[0]), of(key)).await.unwrap(), tried[1]);
    }
}
