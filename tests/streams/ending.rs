//! A stream ends once: for its caller, for the mark of its node, for the count of what is in flight.

use std::future;

use futures_util::{StreamExt, stream};
use http::Request;
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tokio::sync::oneshot;
use tonic::{Code, Status};
use tower_micro::{CallOptions, Error, Kind};
use tower_micro_testkit::{Chat, Manner, proto::chat::CountRequest};
use tower_service::Service;

use super::fleet::{Chats, Talk, chat, count, heard, line, numbers, sum};
use crate::support::{framed, soon};

async fn one(manner: Manner) -> Chats {
    let chats = Chats::of(1).await;
    chats.chats[0].behave(manner);
    chats
}

async fn was_reset(chat: &Chat) {
    let seen = soon(chat.until(|seen| seen.reset + seen.ended > 0)).await;
    assert_eq!((seen.reset, seen.ended), (1, 0));
}

#[tokio::test]
async fn a_node_that_dies_is_named_in_the_one_error_that_its_stream_ends_with() {
    let chats = Chats::of(1).await;
    let client = chats.client(CallOptions::new());
    let mut talk = Talk::open(&client).await.unwrap();
    talk.ask("hello").await.unwrap().unwrap();
    chats.servers[0].kill();
    let status = talk.ask("are you there").await.unwrap_err();
    let place = format!("(service chat, node n0 at {})", chats.servers[0].address());
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().ends_with(&place), "{status}");
    assert!(!status.message().contains("Error"), "no debris: {status}");

    let error = Error::from(status);
    assert_eq!(
        (error.kind(), &*error.node().unwrap().id),
        (Kind::Transport, "n0")
    );
    drop(talk);
    assert_eq!(chats.diary(), "select:chat next:n0 mark:n0:failed");
    assert_eq!(chats.recording.in_flight(), 0);
}

// tonic's own `Streaming` says an error of the body twice if it is asked again, so the body is looked at without it.
#[tokio::test]
async fn a_stream_that_breaks_fails_once_and_is_over() {
    let chats = one(Manner::StallAfter(1)).await;
    let client = chats.client(CallOptions::new().streaming(true));
    let message = framed(&CountRequest { to: 5 });
    let request = Request::post("/chat.Chat/Count").header("content-type", "application/grpc");
    let request = request.body(tonic::body::Body::new(Full::new(message)));
    let answer = soon(client.channel("chat").call(request.unwrap())).await;
    let mut body = answer.unwrap().into_body();
    assert!(soon(body.frame()).await.unwrap().unwrap().is_data());
    chats.servers[0].kill();
    let status = soon(body.frame()).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(soon(body.frame()).await.is_none());
    assert!(body.is_end_stream());
    drop(body);
    assert_eq!(chats.diary(), "select:chat next:n0 mark:n0:failed");
}

#[tokio::test]
async fn a_failure_that_the_node_sends_at_the_end_comes_as_it_was_sent() {
    let sent = Status::with_details(Code::ResourceExhausted, "no more", b"\x08\x08"[..].into());
    let chats = one(Manner::FailAfter(2, sent.clone())).await;
    let client = chats.client(CallOptions::new().idempotent(true));
    let mut counting = count(&client, 5).await.unwrap();
    for value in [1, 2] {
        assert_eq!(counting.message().await.unwrap().unwrap().value, value);
    }
    let status = soon(counting.message()).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (sent.code(), sent.message())
    );
    assert_eq!(status.details(), sent.details());
    assert!(soon(counting.next()).await.is_none(), "it ends once");
    assert_eq!(chats.diary(), "select:chat next:n0 mark:n0:failed");
    assert_eq!(chats.recording.in_flight(), 0);
}

#[tokio::test]
async fn a_stream_is_in_flight_until_its_last_message_was_taken() {
    let chats = Chats::of(1).await;
    let client = chats.client(CallOptions::new());
    let mut counting = count(&client, 3).await.unwrap();
    for _ in 0..3 {
        assert_eq!(chats.recording.in_flight(), 1);
        counting.message().await.unwrap().unwrap();
    }
    assert!(soon(counting.message()).await.unwrap().is_none());
    assert_eq!(chats.recording.in_flight(), 0, "though it was not dropped");
    assert_eq!(chats.diary(), "select:chat next:n0 mark:n0:ok");
}

#[tokio::test]
async fn each_stream_counts_as_one_in_flight_and_no_longer_than_it_lives() {
    let chats = Chats::of(1).await;
    let client = chats.client(CallOptions::new());
    let mut talks = Vec::new();
    for open in 1..=5 {
        let mut talk = Talk::open(&client).await.unwrap();
        talk.ask("hello").await.unwrap().unwrap();
        talks.push(talk);
        assert_eq!(chats.recording.in_flight(), open);
    }
    for (open, talk) in (0..5).rev().zip(talks) {
        match open % 2 {
            0 => drop(talk),
            _ => drop(talk.finish().await.unwrap()),
        }
        assert_eq!(chats.recording.in_flight(), open);
    }
}

#[tokio::test]
async fn a_talk_that_is_dropped_half_way_is_cancelled_and_the_server_sees_it() {
    for manner in [Manner::Serve, Manner::StallAfter(1)] {
        let chats = one(manner).await;
        let client = chats.client(CallOptions::new());
        let mut talk = Talk::open(&client).await.unwrap();
        talk.ask("hello").await.unwrap().unwrap();
        drop(talk);
        assert_eq!(chats.diary(), "select:chat next:n0 mark:n0:cancelled");
        assert_eq!(chats.recording.in_flight(), 0);
        was_reset(&chats.chats[0]).await;
    }
}

#[tokio::test]
async fn so_is_a_stream_that_goes_one_way() {
    let chats = Chats::of(1).await;
    let client = chats.client(CallOptions::new());
    let mut counting = count(&client, u64::MAX).await.unwrap();
    counting.message().await.unwrap().unwrap();
    drop(counting);
    assert_eq!(chats.diary(), "select:chat next:n0 mark:n0:cancelled");
    was_reset(&chats.chats[0]).await;

    let chats = one(Manner::StallAfter(3)).await;
    let client = chats.client(CallOptions::new());
    let read = chats.chats[0].until(|seen| seen.messages == 3);
    tokio::select! {
        total = sum(&client, numbers(9)) => panic!("{total:?}"),
        _ = soon(read) => {}
    }
    assert_eq!(chats.diary(), "select:chat next:n0 mark:n0:cancelled");
    assert_eq!(chats.recording.in_flight(), 0);
    was_reset(&chats.chats[0]).await;
}

#[tokio::test]
async fn the_connection_of_a_stream_that_was_dropped_serves_the_next() {
    let chats = Chats::of(1).await;
    let client = chats.client(CallOptions::new());
    for _ in 0..20 {
        let mut counting = count(&client, u64::MAX).await.unwrap();
        counting.message().await.unwrap().unwrap();
    }
    assert_eq!(
        heard(count(&client, 9).await.unwrap()).await.unwrap().len(),
        9
    );
}

#[tokio::test]
async fn a_stream_whose_requests_panic_is_reset_and_over() {
    let chats = Chats::of(1).await;
    let client = chats.client(CallOptions::new());
    let (panics, is_time) = oneshot::channel::<()>();
    let lines = stream::once(future::ready(line("hello"))).chain(stream::once(async {
        is_time.await.unwrap();
        panic!("boo")
    }));
    let mut answers = soon(chat(&client).talk(lines)).await.unwrap().into_inner();
    soon(answers.message()).await.unwrap().unwrap();
    panics.send(()).unwrap();
    let status = soon(answers.message()).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal, "{status}");
    was_reset(&chats.chats[0]).await;
    assert_eq!(chats.recording.in_flight(), 0);
}
