//! How connections end.

use std::time::Duration;

use futures_util::stream;
use tokio::{task::yield_now, time::Instant};
use tower_micro::{CallOptions, Client};
use tower_micro_testkit::{
    h2_peer::{
        Peer,
        Step::{
            self, AwaitHeaders, AwaitRequest, Close, Frame, Goaway, MaxStreams, Serve, Settings,
            Silence, Wait,
        },
        reason::{ENHANCE_YOUR_CALM, NO_ERROR},
    },
    proto::chat::{Line, chat_client::ChatClient},
};

use super::dials::{SECOND, client, once};
use crate::support::{builder, call, greeter, hello, soon, start, tasks, until_tasks_are};

fn patient() -> CallOptions {
    once().timeout(300 * SECOND)
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_has_gone_without_a_word_is_found_by_a_ping() {
    let peer = Peer::script([Settings, AwaitRequest, Silence]).then([Settings, Serve]);
    let client = client(peer.clone(), patient());
    let begun = Instant::now();
    let status = call_with_patience(&client).await.unwrap_err();
    let told = status.message();
    assert!(told.contains("no answer to a ping within 10s"), "{told}");
    assert_eq!(begun.elapsed().as_secs(), 40);
    call(&client).await.unwrap();
    assert_eq!(peer.seen().dials, 2);
}

/// As `call`, for calls that take longer than a test may.
async fn call_with_patience(client: &Client) -> Result<(), tonic::Status> {
    greeter(client).say_hello(hello()).await.map(drop)
}

/// GOAWAY with ENHANCE_YOUR_CALM, which says why.
fn calm(why: &str) -> Step {
    let head = [1, ENHANCE_YOUR_CALM].map(u32::to_be_bytes).concat();
    Frame {
        kind: 7,
        flags: 0,
        stream: 0,
        payload: [&head, why.as_bytes()].concat(),
    }
}

/// After how many seconds a peer that is silent is found, which has ended the connection before with `goodbye`.
async fn found_after(goodbye: Step) -> u64 {
    let greets = [Step::answer(), Step::greeting(), Step::status("0")];
    let first = [Settings, AwaitRequest].into_iter().chain(greets);
    let peer = Peer::script(first.chain([goodbye, Close])).then([Settings, AwaitRequest, Silence]);
    let client = client(peer.clone(), patient());
    call(&client).await.unwrap();
    soon(peer.has_seen(|seen| seen.gave_up.is_some() || seen.requests == 1)).await;
    for _ in 0..9 {
        yield_now().await;
    }
    let begun = Instant::now();
    let status = call_with_patience(&client).await.unwrap_err();
    assert!(status.message().contains("ping"), "{}", status.message());
    assert_eq!(peer.seen().dials, 2);
    begun.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_pinged_too_often_is_pinged_half_as_often() {
    assert_eq!(found_after(calm("too_many_pings")).await, 70);
}

#[tokio::test(start_paused = true)]
async fn so_is_it_on_its_other_connections() {
    let first = [MaxStreams(1), AwaitRequest, Wait(30 * SECOND), Close];
    let second = [Settings, AwaitRequest, calm("too_many_pings"), Close];
    let third = [Settings, AwaitRequest, Silence];
    let peer = Peer::script(first).then(second).then(third);
    let client = client(peer.clone(), patient());
    let begin = || {
        let client = client.clone();
        tokio::spawn(async move { call_with_patience(&client).await })
    };
    let one = begin();
    soon(peer.has_seen(|seen| seen.requests == 1)).await;
    for call in [begin(), one] {
        call.await.unwrap().unwrap_err();
    }
    let begun = Instant::now();
    let status = call_with_patience(&client).await.unwrap_err();
    assert!(status.message().contains("ping"), "{}", status.message());
    assert_eq!((begun.elapsed().as_secs(), peer.seen().dials), (70, 3));
}

#[tokio::test(start_paused = true)]
async fn one_that_wants_calm_for_another_reason_is_pinged_as_often_as_before() {
    for why in ["", "too_many_resets", "not too_many_pings"] {
        assert_eq!(found_after(calm(why)).await, 40, "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_for_a_stream_goes_to_the_next_connection_when_its_own_closes() {
    let first = [MaxStreams(1), AwaitRequest, Wait(SECOND), Close];
    let peer = Peer::script(first).then([Settings, Serve]);
    let client = client(peer.clone(), once());
    let busy = tokio::spawn({
        let client = client.clone();
        async move { call(&client).await }
    });
    soon(peer.has_seen(|seen| seen.requests == 1)).await;
    call(&client).await.unwrap();
    busy.await.unwrap().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_request_that_comes_after_a_goaway_goes_to_another_connection() {
    let greets = [Step::answer(), Step::greeting(), Step::status("0")];
    let goes = Goaway {
        last: 1,
        reason: NO_ERROR,
    };
    let first = [Settings, AwaitRequest]
        .into_iter()
        .chain(greets)
        .chain([goes]);
    let peer = Peer::script(first).then([Settings, Serve]);
    let client = client(peer.clone(), once());
    for _ in 0..3 {
        call(&client).await.unwrap();
        yield_now().await;
    }
    assert_eq!(peer.seen().dials, 2);
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_call_for_half_an_hour_is_closed() {
    let peer = Peer::script([Settings, Serve]);
    let client = client(peer.clone(), once());
    call(&client).await.unwrap();
    tokio::time::sleep(29 * 60 * SECOND).await;
    assert_eq!(peer.seen().gave_up, None);
    tokio::time::sleep(2 * 60 * SECOND).await;
    assert_eq!(peer.seen().gave_up, Some(NO_ERROR));
    call(&client).await.unwrap();
    assert_eq!(peer.seen().dials, 2);
}

#[tokio::test]
async fn nothing_is_left_of_a_client_that_is_dropped() {
    let greeter = tower_micro_testkit::Greeter::new("n0");
    let server = start("n0", greeter.service()).await.unwrap();
    let address = server.address().to_string();
    let before = tasks();
    let registry = tower_micro::Static::addresses("greeter", [address]).unwrap();
    let client = builder().registry(registry).build().unwrap();
    call(&client).await.unwrap();
    assert!(tasks() > before);
    drop(client);
    until_tasks_are(before).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_may_take_for_ever_to_answer_a_ping_is_kept() {
    let first = [Settings, AwaitRequest, Silence, Wait(100 * SECOND)];
    let greets = [Step::answer(), Step::greeting(), Step::status("0")];
    let peer = Peer::script(first.into_iter().chain(greets)).keepalive(SECOND, Duration::MAX);
    call_with_patience(&client(peer, patient())).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_what_is_asked_for_is_kept_though_its_answer_to_a_ping_is_late() {
    let begins = [Settings, AwaitHeaders, Silence, Step::answer()].into_iter();
    let parts = vec![[Wait(SECOND / 2), Step::message(b"")]; 20];
    let ends = [Step::status("0")];
    let peer = Peer::script(begins.chain(parts.into_iter().flatten()).chain(ends));
    let client = client(peer.keepalive(SECOND, SECOND), patient());
    let mut chat = ChatClient::new(client.channel("greeter"));
    let answers = chat.talk(stream::pending::<Line>()).await.unwrap();
    let mut answers = answers.into_inner();
    for _ in 0..20 {
        answers.message().await.unwrap().unwrap();
    }
    assert_eq!(answers.message().await.unwrap(), None);
}
