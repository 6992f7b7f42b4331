//! More calls than are wanted: turned away at once, for a client with tower's own layers, for a node with an option.

use std::{future, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, time::advance};
use tonic::Code;
use tower::{
    limit::{ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer},
    load_shed::LoadShedLayer,
};

use tower_micro::{CallOptions, Client};
use tower_micro_testkit::proto::greeter::greeter_client::GreeterClient;

use crate::support::{Recording, call, greeter, greeting, hello, node_of, scripted, soon};

#[tokio::test(start_paused = true)]
async fn past_its_limit_a_client_turns_calls_away_and_goes_on_when_there_is_room() {
    let recording = Recording::of(1);
    let client = scripted(&recording, |request| async move {
        if request.headers().contains_key("x-hang") {
            future::pending::<()>().await;
        }
        Ok(greeting(node_of(&request)))
    });
    // What may be traced or not takes wrappers whose errors are boxes when it is erased.
    let client = client
        .erased()
        .wrap(LoadShedLayer::new())
        .wrap(ConcurrencyLimitLayer::new(2))
        .build()
        .unwrap();
    let mut greeters = [greeter(&client), greeter(&client)];
    let mut hanging = greeters.each_mut().map(|greeter| {
        let mut request = hello();
        request
            .metadata_mut()
            .insert("x-hang", "1".parse().unwrap());
        tokio_test::task::spawn(greeter.say_hello(request))
    });
    for call in &mut hanging {
        assert!(call.poll().is_pending());
    }
    let status = soon(call(&client)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(recording.in_flight(), 2, "it has reached no node");
    drop(hanging);
    call(&client).await.unwrap();
}

/// Of two calls to each of two services, how many are sent while none is answered.
fn sent(recording: &Recording, client: &Client) -> u32 {
    let mut greeters = ["a", "b", "a", "b"].map(|name| GreeterClient::new(client.channel(name)));
    let mut calls = greeters
        .each_mut()
        .map(|greeter| tokio_test::task::spawn(greeter.say_hello(hello())));
    for call in &mut calls {
        assert!(call.poll().is_pending());
    }
    recording.in_flight()
}

#[tokio::test(start_paused = true)]
async fn each_service_has_a_limit_of_its_own_unless_the_layer_holds_one_for_all() {
    let recording = Recording::of(1);
    let hanging = || scripted(&recording, |_| future::pending()).erased();
    let own = hanging().wrap(ConcurrencyLimitLayer::new(1)).build();
    assert_eq!(sent(&recording, &own.unwrap()), 2);
    let shared = hanging().wrap(GlobalConcurrencyLimitLayer::new(1)).build();
    assert_eq!(sent(&recording, &shared.unwrap()), 1);
}

/// Nodes that answer when they are told to.
fn held(nodes: usize, options: CallOptions) -> (Recording, Client, Arc<Semaphore>) {
    let (recording, told) = (Recording::of(nodes), Arc::new(Semaphore::new(0)));
    let waiting = Arc::clone(&told);
    let client = scripted(&recording, move |request| {
        let waiting = Arc::clone(&waiting);
        async move {
            waiting.acquire().await.unwrap().forget();
            Ok(greeting(node_of(&request)))
        }
    });
    (recording, client.options(options).build().unwrap(), told)
}

#[tokio::test(start_paused = true)]
async fn a_node_that_has_enough_gets_no_more_and_the_call_goes_to_another() {
    let (recording, client, told) = held(2, CallOptions::new().max_in_flight(1));
    let mut greeters = [greeter(&client), greeter(&client), greeter(&client)];
    let mut calls = greeters
        .each_mut()
        .map(|greeter| tokio_test::task::spawn(greeter.say_hello(hello())));
    // Each call of this selector begins with the first node.
    assert!(calls[0].poll().is_pending());
    assert!(calls[1].poll().is_pending());
    // This one counts no tries, so that a retry waits.
    advance(Duration::from_millis(100)).await;
    assert!(calls[1].poll().is_pending());
    assert_eq!(recording.diary.count("next:n1"), 1);
    let status = soon(&mut calls[2]).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("max_in_flight"), "{status}");
    assert_eq!(recording.in_flight(), 2, "it has reached no node");
    told.add_permits(2);
    soon(&mut calls[0]).await.unwrap();
    soon(&mut calls[1]).await.unwrap();
    assert_eq!(recording.in_flight(), 0);
    told.add_permits(1);
    call(&client).await.unwrap();
}
