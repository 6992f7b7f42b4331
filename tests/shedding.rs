//! More calls than are wanted: turned away at once, with tower's own layers.

use std::future;

use tonic::Code;
use tower::{limit::ConcurrencyLimitLayer, load_shed::LoadShedLayer};

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
    let client = client
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
