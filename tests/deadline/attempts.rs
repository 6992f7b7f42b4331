//! What an attempt gets of the time, and what its node is told.

use std::time::Duration;

use futures_util::future;
use http::Request;
use tokio::time::sleep;
use tonic::{Code, Status};
use tower_micro::{Body, CallOptions, Context, Next, Preset, RequestExt, RetryContext, from_fn};

use super::{SECOND, ends_after_a_second, hang, timed, within};
use crate::support::{
    Answer, Diary, Recording, call, failing, greeter, greeting, hello, node_of, number_of, scripted,
};

/// What the node is told in `header` by each of three attempts, which fail a second apart.
async fn told(preset: Preset, header: &'static str) -> String {
    let diary = Diary::default();
    let seen = diary.clone();
    let client = scripted(&Recording::of(1), move |request| {
        let value = request
            .headers()
            .get(header)
            .map(|value| value.to_str().unwrap());
        seen.write(value.unwrap_or("-"));
        async {
            sleep(SECOND).await;
            Ok(failing(Status::deadline_exceeded("later")))
        }
    });
    let again = |_: RetryContext<'_>| Ok(true);
    let at_once = |_: RetryContext<'_>| Ok(Duration::ZERO);
    let options = within(10 * SECOND).retries(2).retry(again).backoff(at_once);
    let client = client.preset(preset).options(options).build().unwrap();
    call(&client).await.unwrap_err();
    diary.text()
}

#[tokio::test(start_paused = true)]
async fn every_attempt_tells_its_node_what_is_left() {
    for preset in [Preset::Standard, Preset::GoMicroV2, Preset::GoMicroV4] {
        assert_eq!(
            told(preset, "grpc-timeout").await,
            "10000000u 9000000u 8000000u"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn go_micros_own_header_says_the_whole_time_every_time() {
    assert_eq!(told(Preset::Standard, "timeout").await, "- - -");
    let whole = "10000000000 10000000000 10000000000";
    assert_eq!(told(Preset::GoMicroV2, "timeout").await, whole);
    assert_eq!(told(Preset::GoMicroV4, "timeout").await, whole);
}

/// `n0` hangs, the others answer.
async fn but_the_first(request: Request<Body>) -> Answer {
    match &*node_of(&request) {
        "n0" => future::pending().await,
        node => Ok(greeting(node)),
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_hangs_leaves_time_for_another_where_twice_is_as_good_as_once() {
    let recording = Recording::of(2);
    let options = within(3 * SECOND).retries(2).idempotent(true);
    let at_once = |_: RetryContext<'_>| Ok(Duration::ZERO);
    let client = scripted(&recording, but_the_first).options(options.backoff(at_once));
    let (answer, took) = timed(call(&client.build().unwrap())).await;
    assert_eq!((answer.unwrap().node, took), ("n1".into(), SECOND));
    let expected = "select:greeter next:n0 mark:n0:timed-out next:n1 mark:n1:ok";
    assert_eq!(recording.diary.text(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_node_is_told_what_a_wrapper_that_waits_has_left_of_the_time() {
    let diary = Diary::default();
    let seen = diary.clone();
    let client = scripted(&Recording::of(1), move |request| {
        seen.write(request.headers()["grpc-timeout"].to_str().unwrap());
        async { Ok(greeting("n0")) }
    });
    let waits = |_: Context, request: Request<Body>, next: Next| async move {
        sleep(SECOND).await;
        next.run(request).await
    };
    let client = client.wrap_call(from_fn(waits)).options(within(9 * SECOND));
    let client = client.build().unwrap();
    call(&client).await.unwrap();
    let more = hello().with_options(CallOptions::new().call_wrapper(waits));
    greeter(&client).say_hello(more).await.unwrap();
    assert_eq!(diary.text(), "8000000u 7000000u");
}

/// `n0` gives up with `code` when the time that it was given is over, and keeps it to the microsecond; the others answer.
async fn punctual(request: Request<Body>, code: Code) -> Answer {
    let node = node_of(&request);
    if node != "n0" {
        return Ok(greeting(&*node));
    }
    let given = request.headers()["grpc-timeout"].to_str().unwrap();
    let given = given.strip_suffix('u').unwrap().parse().unwrap();
    sleep(Duration::from_micros(given)).await;
    Ok(failing(Status::new(code, "Timeout expired")))
}

#[tokio::test(start_paused = true)]
async fn a_node_that_gives_up_when_its_time_is_over_leaves_it_to_another_too() {
    for code in [Code::Cancelled, Code::DeadlineExceeded] {
        let recording = Recording::of(2);
        let options = within(3 * SECOND).retries(2).idempotent(true);
        let at_once = |_: RetryContext<'_>| Ok(Duration::ZERO);
        let client = scripted(&recording, move |request| punctual(request, code));
        let client = client.options(options.backoff(at_once)).build().unwrap();
        let (answer, took) = timed(call(&client)).await;
        assert_eq!((answer.unwrap().node, took), ("n1".into(), SECOND));
        let expected = "select:greeter next:n0 mark:n0:timed-out next:n1 mark:n1:ok";
        assert_eq!(recording.diary.text(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_may_not_be_repeated_waits_for_its_node_until_its_deadline() {
    let recording = Recording::of(2);
    let client = scripted(&recording, but_the_first).options(within(3 * SECOND).retries(2));
    let (answer, took) = timed(call(&client.build().unwrap())).await;
    assert_eq!(
        (answer.unwrap_err().code(), took),
        (Code::DeadlineExceeded, 3 * SECOND)
    );
    assert_eq!(
        recording.diary.text(),
        "select:greeter next:n0 mark:n0:timed-out"
    );
}

#[tokio::test(start_paused = true)]
async fn the_last_attempt_has_all_that_is_left() {
    let client = scripted(&Recording::of(1), |request| async move {
        let last = number_of(&request) == 2;
        sleep(if last { SECOND * 9 / 10 } else { 9 * SECOND }).await;
        Ok(greeting("n0"))
    });
    let at_once = |_: RetryContext<'_>| Ok(Duration::ZERO);
    let options = within(3 * SECOND)
        .retries(2)
        .idempotent(true)
        .backoff(at_once);
    let (answer, took) = timed(call(&client.options(options).build().unwrap())).await;
    assert_eq!(
        (answer.unwrap().node, took),
        ("n0".into(), SECOND * 29 / 10)
    );
}

#[tokio::test(start_paused = true)]
async fn an_attempts_timeout_never_outlives_the_call() {
    let options = CallOptions::new().attempt_timeout(60 * SECOND);
    let client = scripted(&Recording::of(1), hang).options(options);
    ends_after_a_second(client, &["1 attempt"]).await;
}

#[tokio::test(start_paused = true)]
async fn attempts_that_all_time_out_tell_so() {
    let options = within(9 * SECOND).attempt_timeout(SECOND).idempotent(true);
    let client = scripted(&Recording::of(3), hang)
        .options(options)
        .build()
        .unwrap();
    let (answer, took) = timed(call(&client)).await;
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    let told = "attempt timed out after 1s (service greeter, node n2 at 10.0.0.2:1, 3 attempts); \
                the attempt before ended with DeadlineExceeded: attempt timed out after 1s";
    assert_eq!(status.message(), told);
    assert!(took >= 3 * SECOND && took < 4 * SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_has_a_tenth_of_the_time_however_many_may_follow() {
    let recording = Recording::of(2);
    let client = scripted(&recording, |request| async move {
        let node = node_of(&request);
        if node == "n0" {
            return future::pending().await;
        }
        sleep(SECOND / 2).await;
        Ok(greeting(node))
    });
    let options = within(10 * SECOND).retries(u32::MAX).idempotent(true);
    let at_once = |_: RetryContext<'_>| Ok(Duration::ZERO);
    let client = client.options(options.backoff(at_once)).build().unwrap();
    let (answer, took) = timed(call(&client)).await;
    assert_eq!((answer.unwrap().node, took), ("n1".into(), 3 * SECOND / 2));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_too_long_is_go_micros_408_and_so_repeated() {
    for preset in [Preset::GoMicroV2, Preset::GoMicroV4] {
        let recording = Recording::of(2);
        let at_once = |_: RetryContext<'_>| Ok(Duration::ZERO);
        let options = within(3 * SECOND).attempt_timeout(SECOND).backoff(at_once);
        let client = scripted(&recording, but_the_first).preset(preset);
        let client = client.options(options).build().unwrap();
        let (answer, took) = timed(call(&client)).await;
        assert_eq!((answer.unwrap().node, took), ("n1".into(), SECOND));
    }
}
