//! How a client knows that a method is a stream, and what it says where it does not.

use std::time::Duration;

use futures_util::{future, stream};
use http::Request;
use tokio::time::{Instant, advance};
use tonic::{Code, Status};
use tower_micro::{Body, BuildError, CallOptions, Client, RequestExt};
use tower_micro_testkit::proto::chat::{CountRequest, DESCRIPTORS, Number};

use super::fleet::{chat, numbers, saying};
use crate::support::{Answer, Bare, Recording, failing, scripted};

const SECOND: Duration = Duration::from_secs(1);

/// A node that counts, a number a second, and never ends.
async fn count_on(_: Request<Body>) -> Answer {
    let numbers = (1..).map(|value| Number { value });
    Ok(saying(numbers, SECOND, future::ready(())))
}

/// How many numbers come within a minute, and how it ends if it does.
async fn a_minute_of(client: &Client, options: CallOptions) -> (u64, Option<Status>) {
    let request = tonic::Request::new(CountRequest { to: u64::MAX }).with_options(options);
    let until = Instant::now() + 60 * SECOND;
    let mut counting = match chat(client).count(request).await {
        Ok(counting) => counting.into_inner(),
        Err(status) => return (0, Some(status)),
    };
    for heard in 0.. {
        match tokio::time::timeout_at(until, counting.message()).await {
            Ok(Ok(next)) => assert_eq!(next.unwrap().value, heard + 1),
            Ok(Err(status)) => return (heard, Some(status)),
            Err(_) => return (heard, None),
        }
    }
    unreachable!("it counts for ever")
}

fn counter() -> Bare {
    scripted(&Recording::of(1), count_on)
}

#[tokio::test(start_paused = true)]
async fn a_call_that_times_out_while_its_node_streams_tells_how_to_mark_the_method() {
    let client = counter().build().unwrap();
    let (heard, end) = a_minute_of(&client, CallOptions::new()).await;
    let status = end.unwrap();
    assert_eq!((heard, status.code()), (5, Code::DeadlineExceeded));
    let told = "deadline of 5s exceeded (service chat, node n0 at 10.0.0.0:1); the node was streaming: \
                mark the method with `streaming(true)` if it is a stream";
    assert_eq!(status.message(), told);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_times_out_while_it_waits_for_its_one_message_is_told_nothing_of_streams() {
    let client = scripted(&Recording::of(1), |_| async {
        Ok(saying([Number { value: 1 }], SECOND, future::pending()))
    });
    let (_, end) = a_minute_of(&client.build().unwrap(), CallOptions::new()).await;
    assert!(!end.unwrap().message().contains("streaming"));
}

#[tokio::test(start_paused = true)]
async fn a_method_can_be_marked_by_name_by_request_or_by_descriptors() {
    let streaming = CallOptions::new().streaming(true);
    let plain = counter().build().unwrap();
    assert!(a_minute_of(&plain, streaming.clone()).await.1.is_none());
    let named = counter().method("chat.Chat/Count", streaming);
    let named = named.build().unwrap();
    assert!(a_minute_of(&named, CallOptions::new()).await.1.is_none());
    let described = counter().descriptors(DESCRIPTORS).build().unwrap();
    assert!(
        a_minute_of(&described, CallOptions::new())
            .await
            .1
            .is_none()
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_a_method_by_hand_counts_before_its_descriptor() {
    let call = CallOptions::new().streaming(false);
    let client = counter()
        .descriptors(DESCRIPTORS)
        .method("chat.Chat/Count", call);
    let (heard, end) = a_minute_of(&client.build().unwrap(), CallOptions::new()).await;
    // A call is judged by its whole answer, so nothing of it is handed on before its end.
    assert_eq!((heard, end.unwrap().code()), (0, Code::DeadlineExceeded));
}

// `Count` has `idempotency_level = NO_SIDE_EFFECTS`, `Sum` has none.
#[tokio::test(start_paused = true)]
async fn descriptors_tell_which_methods_may_be_done_twice() {
    let recording = Recording::of(3);
    let client = scripted(&recording, |_| async {
        Ok(failing(Status::unavailable("busy")))
    });
    let client = client.descriptors(DESCRIPTORS).build().unwrap();
    let mut chat = chat(&client);
    chat.count(CountRequest { to: 1 }).await.unwrap_err();
    assert_eq!(recording.diary.count("next:n2"), 1);
    chat.sum(numbers(9)).await.unwrap_err();
    let last = "select:chat next:n0 mark:n0:failed";
    assert!(
        recording.diary.text().ends_with(last),
        "{:?}",
        recording.diary
    );
}

// A request that ends at once looks like that of a call.
#[tokio::test(start_paused = true)]
async fn a_descriptor_makes_a_stream_of_a_request_that_ends_at_once() {
    let client = |described: &'static [u8]| {
        let client = scripted(&Recording::of(1), |_| future::pending());
        client.descriptors(described).build().unwrap()
    };
    let (plain, described) = (client(b""), client(DESCRIPTORS));
    let one = || stream::iter([Number { value: 1 }]);
    let status = chat(&plain).sum(one()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);

    let mut chat = chat(&described);
    let mut sum = tokio_test::task::spawn(chat.sum(one()));
    assert!(sum.poll().is_pending());
    advance(600 * SECOND).await;
    assert!(sum.poll().is_pending(), "nothing ends it");
}

#[test]
fn a_descriptor_set_that_is_none_is_refused_with_the_client() {
    let client = counter().descriptors(&b"no descriptors"[..]).build();
    assert!(matches!(client, Err(BuildError::Descriptors { .. })));
}
