//! A stream is opened on one node after another until one answers; from then on it is that node's.

use std::time::Duration;

use tonic::{Code, Status};
use tower_micro::{CallOptions, Candidate, Node, Preset, RetryContext};
use tower_micro_testkit::{Manner, closed_port};

use super::fleet::{Chats, Talk, count, heard, numbers, sum};

fn idempotent() -> CallOptions {
    CallOptions::new().idempotent(true)
}

fn busy() -> Status {
    Status::unavailable("busy")
}

/// Two nodes, the first of which is not there.
async fn first_is_gone() -> Chats {
    let mut chats = Chats::of(2).await;
    let nobody = Node::new("n0", closed_port().await.unwrap());
    chats.recording.nodes[0] = Candidate::new(nobody);
    chats
}

/// Two nodes, the first of which behaves like this.
async fn first_does(manner: Manner) -> Chats {
    let chats = Chats::of(2).await;
    chats.chats[0].behave(manner);
    chats
}

const ELSEWHERE: &str = "select:chat next:n0 mark:n0:failed next:n1 mark:n1:ok";

#[tokio::test]
async fn where_nobody_listens_a_talk_is_opened_elsewhere_whatever_the_method() {
    let chats = first_is_gone().await;
    let client = chats.client(CallOptions::new());
    let mut talk = Talk::open(&client).await.unwrap();
    assert_eq!(talk.ask("hello").await.unwrap().unwrap().node, "n1");
    talk.finish().await.unwrap();
    assert_eq!(chats.diary(), ELSEWHERE);
}

#[tokio::test]
async fn so_are_streams_that_go_one_way() {
    let chats = first_is_gone().await;
    let client = chats.client(CallOptions::new());
    heard(count(&client, 3).await.unwrap()).await.unwrap();
    let total = sum(&client, numbers(100)).await.unwrap();
    assert_eq!((total.sum, &*total.node), (5050, "n1"));
    assert_eq!(chats.diary(), [ELSEWHERE; 2].join(" "));
}

// go-micro asks its predicate about an error that is always nil, so that none is (`client/grpc/grpc.go`, `Stream`).
#[tokio::test]
async fn so_are_they_in_go_micro_v2s_dialect() {
    let chats = first_is_gone().await;
    let at_once = |_: RetryContext<'_>| Ok(Duration::ZERO);
    let client = chats.builder().preset(Preset::GoMicroV2);
    let client = client.options(CallOptions::new().backoff(at_once));
    let client = client.build().unwrap();
    let total = sum(&client, numbers(100)).await.unwrap();
    assert_eq!((total.sum, &*total.node), (5050, "n1"));
    assert_eq!(chats.diary(), ELSEWHERE);
}

#[tokio::test]
async fn a_stream_that_is_refused_is_opened_elsewhere_where_twice_is_as_good_as_once() {
    let chats = first_does(Manner::Refuse(busy())).await;
    let client = chats.client(idempotent());
    let mut talk = Talk::open(&client).await.unwrap();
    assert_eq!(talk.ask("hello").await.unwrap().unwrap().node, "n1");
    talk.finish().await.unwrap();
    heard(count(&client, 3).await.unwrap()).await.unwrap();
    assert_eq!(sum(&client, numbers(100)).await.unwrap().sum, 5050);
    assert_eq!(chats.diary(), [ELSEWHERE; 3].join(" "));
    assert_eq!(chats.chats[0].seen().opened, 3);
}

#[tokio::test]
async fn where_twice_is_not_as_good_the_refusal_comes_back_as_it_was_sent() {
    let chats = first_does(Manner::Refuse(busy())).await;
    let client = chats.client(CallOptions::new());
    let status = Talk::open(&client).await.err().unwrap();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unavailable, "busy")
    );
    assert_eq!(chats.chats[1].seen().opened, 0);
}

#[tokio::test]
async fn a_request_stream_that_was_read_in_part_is_sent_again_from_its_first_message() {
    for read in [0, 1, 3, 99] {
        let chats = first_does(Manner::FailAfter(read, busy())).await;
        let client = chats.client(idempotent());
        let total = sum(&client, numbers(100)).await.unwrap();
        assert_eq!((total.sum, total.numbers, &*total.node), (5050, 100, "n1"));
        assert_eq!(chats.chats[0].seen().messages, read);
        assert_eq!(chats.diary(), ELSEWHERE);
    }
}

#[tokio::test]
async fn a_request_stream_survives_the_node_that_dies_while_it_reads() {
    let chats = first_does(Manner::StallAfter(3)).await;
    let client = chats.client(idempotent());
    let total = tokio::spawn(async move { sum(&client, numbers(100)).await });
    chats.chats[0].until(|seen| seen.messages == 3).await;
    chats.servers[0].kill();
    let total = total.await.unwrap().unwrap();
    assert_eq!((total.sum, total.numbers, &*total.node), (5050, 100, "n1"));
    assert_eq!(chats.diary(), ELSEWHERE);
}

#[tokio::test]
async fn a_request_stream_of_which_more_was_read_than_is_kept_is_not_sent_again() {
    for limit in [0, 20] {
        let chats = first_does(Manner::FailAfter(50, busy())).await;
        let client = chats.client(idempotent().replay_limit(limit));
        let status = sum(&client, numbers(100)).await.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::Unavailable, "busy")
        );
        assert_eq!(chats.chats[1].seen().opened, 0);
        assert_eq!(chats.diary(), "select:chat next:n0 mark:n0:failed");
    }
}

#[tokio::test]
async fn past_what_is_kept_a_request_stream_goes_on() {
    let chats = Chats::of(1).await;
    let client = chats.client(idempotent().replay_limit(20));
    assert_eq!(sum(&client, numbers(1000)).await.unwrap().sum, 500_500);
}

#[tokio::test]
async fn once_headers_have_come_nothing_is_opened_again() {
    for manner in [Manner::FailAfter(2, busy()), Manner::StallAfter(2)] {
        let chats = first_does(manner).await;
        let client = chats.client(idempotent().retries(5));
        let mut talk = Talk::open(&client).await.unwrap();
        talk.ask("one").await.unwrap().unwrap();
        talk.ask("two").await.unwrap().unwrap();
        chats.servers[0].kill();
        let status = talk.ask("three").await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        let counting = count(&client, 9).await.unwrap();
        assert_eq!(heard(counting).await.unwrap().len(), 9);
        assert_eq!(chats.chats[0].seen().opened, 1);
        assert_eq!(chats.chats[1].seen().opened, 1, "for the count alone");
    }
}
