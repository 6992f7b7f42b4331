//! How long a stream may take: as long as its caller likes. Time is virtual.

use std::time::Duration;

use futures_util::{StreamExt, future, stream};
use http_body_util::BodyExt;
use tokio::time::{Instant, sleep};
use tonic::{Code, Streaming};
use tower_micro::{Ambient, CallOptions, Client, Error, Preset, RequestExt, ambient};
use tower_micro_testkit::proto::chat::{CountRequest, Line, Number, Total};

use super::fleet::{chat, line, saying};
use crate::support::{Bare, Diary, Recording, scripted};

const MINUTE: Duration = Duration::from_secs(60);
const PRESETS: [Preset; 3] = [Preset::Standard, Preset::GoMicroV2, Preset::GoMicroV4];

/// A node that says a line a minute, ten in all.
fn ten_minutes(recording: &Recording) -> Bare {
    scripted(recording, |_| async {
        let lines = (1..=10).map(|number| line(&number.to_string()));
        Ok(saying(lines, MINUTE, future::ready(())))
    })
}

/// A node that says a number a minute, ten in all.
fn ten_numbers(recording: &Recording) -> Bare {
    scripted(recording, |_| async {
        let numbers = (1..=10).map(|value| Number { value });
        Ok(saying(numbers, MINUTE, future::ready(())))
    })
}

/// A caller that listens and has not made up its mind what to say.
async fn talk(client: &Client, options: CallOptions) -> Streaming<Line> {
    let silence = stream::pending::<Line>();
    let request = tonic::Request::new(silence).with_options(options);
    chat(client).talk(request).await.unwrap().into_inner()
}

/// How many messages came, how the stream ended, and when.
async fn lived<M>(mut messages: Streaming<M>) -> (usize, Result<(), tonic::Status>, Duration) {
    let began = Instant::now();
    for heard in 0.. {
        match messages.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return (heard, Ok(()), began.elapsed()),
            Err(status) => return (heard, Err(status), began.elapsed()),
        }
    }
    unreachable!("it counts for ever")
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_no_default_timeout() {
    for preset in PRESETS {
        let recording = Recording::of(1);
        let client = ten_minutes(&recording).preset(preset).build().unwrap();
        let (heard, end, took) = lived(talk(&client, CallOptions::new()).await).await;
        end.unwrap();
        assert_eq!((heard, took), (10, 10 * MINUTE));
        assert_eq!(recording.diary.text(), "select:chat next:n0 mark:n0:ok");
    }
}

#[tokio::test(start_paused = true)]
async fn nor_has_one_that_only_the_node_writes_if_its_method_is_marked() {
    for preset in PRESETS {
        let client = ten_numbers(&Recording::of(1)).preset(preset);
        let client = client.method("chat.Chat/Count", CallOptions::new().streaming(true));
        let client = client.build().unwrap();
        let counting = chat(&client).count(CountRequest { to: 10 }).await.unwrap();
        let (heard, end, took) = lived(counting.into_inner()).await;
        end.unwrap();
        assert_eq!((heard, took), (10, 10 * MINUTE));
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_the_client_or_the_method_is_for_calls_that_are_no_streams() {
    let client = ten_minutes(&Recording::of(1)).options(CallOptions::new().timeout(MINUTE));
    let client = client.method("chat.Chat/Talk", CallOptions::new().timeout(MINUTE / 2));
    let talk = talk(&client.build().unwrap(), CallOptions::new()).await;
    assert_eq!(lived(talk).await.2, 10 * MINUTE);
}

/// A stream has ended after three minutes and a half, with its deadline.
async fn ended_in_time(messages: Streaming<Line>, recording: &Recording) {
    let (heard, end, took) = lived(messages).await;
    let status = end.unwrap_err();
    assert_eq!(
        (status.code(), heard, took),
        (Code::DeadlineExceeded, 3, MINUTE * 7 / 2)
    );
    assert!(
        !status.message().contains("streaming"),
        "it is known to be one: {status}"
    );
    assert_eq!(
        recording.diary.text(),
        "select:chat next:n0 mark:n0:timed-out"
    );
    assert_eq!(recording.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_that_tonic_was_asked_for_ends_a_stream() {
    for preset in PRESETS {
        let recording = Recording::of(1);
        let client = ten_minutes(&recording).preset(preset).build().unwrap();
        let mut request = tonic::Request::new(stream::pending());
        request.set_timeout(MINUTE * 7 / 2);
        let talk = chat(&client).talk(request).await.unwrap().into_inner();
        ended_in_time(talk, &recording).await;
    }
}

#[tokio::test(start_paused = true)]
async fn so_does_the_deadline_of_the_call_that_a_handler_serves() {
    for preset in PRESETS {
        let recording = Recording::of(1);
        let client = ten_minutes(&recording).preset(preset).build().unwrap();
        let inbound = Ambient::new().with_deadline(Some(Instant::now() + MINUTE * 7 / 2));
        let talk = ambient::scope(inbound, talk(&client, CallOptions::new())).await;
        ended_in_time(talk, &recording).await;
    }
}

#[tokio::test(start_paused = true)]
async fn so_does_a_timeout_among_the_options_of_the_request() {
    let recording = Recording::of(1);
    let client = ten_minutes(&recording).build().unwrap();
    let talk = talk(&client, CallOptions::new().timeout(MINUTE * 7 / 2)).await;
    ended_in_time(talk, &recording).await;
}

// `RequestTimeout` is not looked at in `Stream`, whoever sets it (go-micro v2 `client/grpc/grpc.go`).
#[tokio::test(start_paused = true)]
async fn but_not_in_go_micros_dialects() {
    for preset in [Preset::GoMicroV2, Preset::GoMicroV4] {
        let client = ten_minutes(&Recording::of(1))
            .preset(preset)
            .build()
            .unwrap();
        let talk = talk(&client, CallOptions::new().timeout(MINUTE)).await;
        assert_eq!(lived(talk).await.2, 10 * MINUTE);
    }
}

/// What the node is told in go-micro's `timeout` header and in gRPC's.
async fn told(preset: Preset, options: CallOptions) -> String {
    let (recording, seen) = (Recording::of(1), Diary::default());
    let diary = seen.clone();
    let client = scripted(&recording, move |request| {
        let header = |name| {
            request
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap())
        };
        for name in ["timeout", "grpc-timeout"] {
            diary.write(header(name).unwrap_or("-"));
        }
        let lines = (1..=10).map(|number| line(&number.to_string()));
        async move { Ok(saying(lines, MINUTE, future::ready(()))) }
    });
    let client = client.preset(preset).options(options).build().unwrap();
    let (heard, end, took) = lived(talk(&client, CallOptions::new()).await).await;
    end.unwrap();
    assert_eq!(
        (heard, took),
        (10, 10 * MINUTE),
        "nobody is held to it here"
    );
    seen.text()
}

// go-micro v2 `client/grpc/grpc.go`, `stream`: the header alone, and only if the option is above zero.
#[tokio::test(start_paused = true)]
async fn a_stream_timeout_is_told_to_a_go_micro_server_and_holds_nobody_here() {
    let second = CallOptions::new().stream_timeout(Duration::from_secs(1));
    for preset in [Preset::GoMicroV2, Preset::GoMicroV4] {
        assert_eq!(told(preset, second.clone()).await, "1000000000 -");
        assert_eq!(told(preset, CallOptions::new()).await, "- -");
        let none = CallOptions::new().stream_timeout(Duration::ZERO);
        assert_eq!(told(preset, none).await, "- -");
    }
    assert_eq!(told(Preset::Standard, second).await, "- -");
}

// An attempt's time is for the opening of a stream: `AttemptTimeout` ends with the headers.
#[tokio::test(start_paused = true)]
async fn the_time_of_an_attempt_is_not_told_as_that_of_a_stream() {
    let second = CallOptions::new().attempt_timeout(Duration::from_secs(1));
    assert_eq!(told(Preset::Standard, second.clone()).await, "- -");
    for options in [second, CallOptions::new().idempotent(true)] {
        let inbound = Ambient::new().with_deadline(Some(Instant::now() + 20 * MINUTE));
        let told = ambient::scope(inbound, told(Preset::Standard, options)).await;
        assert_eq!(told, "- 1200000m");
    }
}

/// A node that answers when it has heard everything.
fn listening(recording: &Recording) -> Bare {
    scripted(recording, |request| async {
        let heard = request.into_body().collect().await;
        heard.map_err(Error::from)?;
        let total = [Total::default()];
        Ok(saying(total, Duration::ZERO, future::ready(())))
    })
}

/// How an upload ends that takes ten minutes, has twenty, and is not kept, and what became of its attempts.
async fn uploaded(options: CallOptions) -> (Result<(), Code>, String) {
    let recording = Recording::of(3);
    let options = options.idempotent(true).replay_limit(0);
    let client = listening(&recording).options(options).build().unwrap();
    let numbers = stream::iter(1..=10).then(|value| async move {
        sleep(MINUTE).await;
        Number { value }
    });
    let mut request = tonic::Request::new(numbers);
    request.set_timeout(20 * MINUTE);
    let total = chat(&client).sum(request).await;
    let end = total.map(drop).map_err(|status| status.code());
    (end, recording.diary.text())
}

// A share of the time is given so that another attempt can follow, and of such a request none may be able to.
#[tokio::test(start_paused = true)]
async fn an_upload_that_is_not_kept_has_all_the_time_of_its_call() {
    let (end, diary) = uploaded(CallOptions::new()).await;
    assert_eq!((end, &*diary), (Ok(()), "select:chat next:n0 mark:n0:ok"));
}

#[tokio::test(start_paused = true)]
async fn unless_its_attempts_were_given_a_time_by_name() {
    let five_minutes = CallOptions::new().attempt_timeout(5 * MINUTE);
    let (end, diary) = uploaded(five_minutes).await;
    assert_eq!(end, Err(Code::DeadlineExceeded));
    assert_eq!(diary, "select:chat next:n0 mark:n0:timed-out");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_never_answers_is_left_when_the_callers_own_time_is_over() {
    let recording = Recording::of(1);
    let client = scripted(&recording, |_| future::pending());
    let client = client.build().unwrap();
    let mut request = tonic::Request::new(stream::pending());
    request.set_timeout(MINUTE);
    let began = Instant::now();
    let status = chat(&client).talk(request).await.unwrap_err();
    assert_eq!(
        (status.code(), began.elapsed()),
        (Code::DeadlineExceeded, MINUTE)
    );
    assert_eq!(
        recording.diary.text(),
        "select:chat next:n0 mark:n0:timed-out"
    );
}
