//! A channel is always ready: all waiting happens inside of the call, where its deadline ends it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context as TaskContext, Poll, Waker},
    time::Duration,
};

use futures_util::future;
use tokio::{sync::Semaphore, task::yield_now};
use tonic::Code;
use tower::{Service, limit::ConcurrencyLimitLayer};
use tower_micro::{CallOptions, Client, RequestExt};

use crate::support::{Recording, Undecided, builder, greeter, greeting, hello, scripted, soon};

/// Whether a generated client would wait before it calls.
fn is_ready(client: &Client) -> bool {
    let mut channel = client.channel("greeter");
    let mut cx = TaskContext::from_waker(Waker::noop());
    matches!(channel.poll_ready(&mut cx), Poll::Ready(Ok(())))
}

#[tokio::test(start_paused = true)]
async fn a_channel_is_ready_before_any_node_is_known_and_the_call_ends_with_its_deadline() {
    let client = builder().selector(Undecided).build().unwrap();
    assert!(is_ready(&client));
    let status = soon(greeter(&client).say_hello(hello())).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(status.message().contains("service greeter"), "{status}");
}

#[tokio::test]
async fn a_channel_is_ready_though_its_name_cannot_be_one() {
    let client = builder().selector(Recording::of(1)).build().unwrap();
    let mut channel = client.channel("no such name");
    let mut cx = TaskContext::from_waker(Waker::noop());
    assert!(matches!(channel.poll_ready(&mut cx), Poll::Ready(Ok(()))));
}

/// A client whose node counts who arrives, and answers once it gets a permit of `gate`.
macro_rules! gated {
    ($gate:expr, $arrived:expr) => {{
        let (gate, arrived) = (Arc::clone(&$gate), Arc::clone(&$arrived));
        scripted(&Recording::of(1), move |_| {
            arrived.fetch_add(1, SeqCst);
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                Ok(greeting("n0"))
            }
        })
    }};
}

#[tokio::test]
async fn a_channel_is_ready_while_a_wrapper_is_not_and_the_call_waits_for_it() {
    let gate = Arc::new(Semaphore::new(0));
    let one_at_a_time = ConcurrencyLimitLayer::new(1);
    let arrived = Arc::new(AtomicUsize::new(0));
    let around_calls = gated!(gate, arrived).wrap(one_at_a_time.clone()).build();
    let around_attempts = gated!(gate, arrived).wrap_call(one_at_a_time).build();
    for client in [around_calls.unwrap(), around_attempts.unwrap()] {
        arrived.store(0, SeqCst);
        let calls = (0..3).map(|_| {
            let client = client.clone();
            tokio::spawn(async move { greeter(&client).say_hello(hello()).await })
        });
        let calls: Vec<_> = calls.collect();
        for _ in 0..10 {
            yield_now().await;
        }
        assert_eq!(arrived.load(SeqCst), 1, "the others wait for the wrapper");
        assert!(is_ready(&client));
        gate.add_permits(3);
        for call in calls {
            soon(call).await.unwrap().unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_a_call_wrapper_ends_with_its_deadline() {
    let never = Arc::new(Semaphore::new(0));
    let arrived = Arc::new(AtomicUsize::new(0));
    let client = gated!(never, arrived)
        .wrap_call(ConcurrencyLimitLayer::new(1))
        .options(
            CallOptions::new()
                .timeout(Duration::from_secs(1))
                .retries(0),
        );
    let client = client.build().unwrap();
    let (mut one, mut other) = (greeter(&client), greeter(&client));
    let patient = hello().with_options(CallOptions::new().timeout(Duration::from_secs(60)));
    let (first, second) = soon(async {
        let second = async {
            let status = other.say_hello(hello()).await.unwrap_err();
            never.add_permits(1);
            status
        };
        future::join(one.say_hello(patient), second).await
    })
    .await;
    first.unwrap();
    assert_eq!(arrived.load(SeqCst), 1, "the second came to no node");
    assert_eq!(second.code(), Code::DeadlineExceeded);
    assert!(second.message().contains("service greeter"), "{second}");
}

#[tokio::test]
async fn a_call_that_was_refused_does_not_keep_a_wrappers_permit() {
    let open = Arc::new(Semaphore::new(9));
    let arrived = Arc::new(AtomicUsize::new(0));
    let client = gated!(open, arrived).wrap_call(ConcurrencyLimitLayer::new(1));
    let client = client.build().unwrap();
    let mut refused = greeter(&client);
    let mut garbage = hello();
    garbage
        .metadata_mut()
        .insert("grpc-timeout", "soon".parse().unwrap());
    let status = soon(refused.say_hello(garbage)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    soon(greeter(&client).say_hello(hello())).await.unwrap();
    drop(refused);
}

#[tokio::test]
async fn a_call_that_finds_its_node_full_does_not_keep_a_wrappers_permit() {
    let recording = Recording::of(1);
    let client = scripted(&recording, |_| async { Ok(greeting("n0")) });
    let client = client.wrap_call(ConcurrencyLimitLayer::new(1));
    let client = client.build().unwrap();
    let mut refused = greeter(&client);
    recording.nodes[0].enter();
    let narrow = hello().with_options(CallOptions::new().max_in_flight(1));
    let status = soon(refused.say_hello(narrow)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    soon(greeter(&client).say_hello(hello())).await.unwrap();
    drop(refused);
}
