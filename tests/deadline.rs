//! One end for the whole call: selection, backoff, attempts, the body of the answer.
//!
//! Time is virtual where nodes are scripts: what is asserted of it is exact.

mod attempts;

mod whose;

use std::{future::Future, task::Poll, time::Duration};

use futures_util::future;
use http::Request;
use tokio::{
    task::coop,
    time::{Instant, sleep},
};
use tonic::{Code, Status};
use tower_micro::{
    Body, CallOptions, Client, Error, Kind, Preset, RequestExt, RetryContext, Selector,
    ServiceName,
    crates::selector::{SelectOptions, Selection},
};
use tower_micro_testkit::{Answer as Does, proto::greeter::HelloReply};

use crate::support::{
    Answer, Bare, Fleet, Recording, Undecided, call, failing, greeter, greeting, greeting_until,
    hello, scripted, soon, wired,
};

const SECOND: Duration = Duration::from_secs(1);

fn within(timeout: Duration) -> CallOptions {
    CallOptions::new().timeout(timeout)
}

/// How a call ended, and how long it took.
async fn timed<F: Future>(call: F) -> (F::Output, Duration) {
    let began = Instant::now();
    let answer = call.await;
    (answer, began.elapsed())
}

/// A call ends with its deadline after a second, and its message has all of `parts`.
async fn ends_after_a_second(client: Bare, parts: &[&str]) {
    let client = client.options(within(SECOND)).build().unwrap();
    let (answer, took) = timed(call(&client)).await;
    let status = answer.unwrap_err();
    assert_eq!((status.code(), took), (Code::DeadlineExceeded, SECOND));
    let all = parts
        .iter()
        .chain(&["deadline of 1s exceeded", "service greeter"]);
    for part in all {
        assert!(status.message().contains(part), "{part:?} in {status}");
    }
}

async fn hang(_: Request<Body>) -> Answer {
    future::pending().await
}

/// Does each time all that tokio lets a task do in a row, as a request stream may that is always ready.
async fn toil(_: Request<Body>) -> Answer {
    let mut polls = 0;
    future::poll_fn(move |cx| {
        polls += 1;
        assert!(polls < 1000, "no timer was heard");
        while coop::has_budget_remaining() {
            if let Poll::Ready(step) = coop::poll_proceed(cx) {
                step.made_progress();
            }
        }
        Poll::Pending
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn it_covers_an_attempt_that_lets_its_task_do_nothing_else() {
    ends_after_a_second(scripted(&Recording::of(1), toil), &[]).await;
}

#[tokio::test(start_paused = true)]
async fn so_does_the_time_of_an_attempt() {
    let options = within(10 * SECOND).attempt_timeout(SECOND).retries(0);
    let client = scripted(&Recording::of(1), toil).options(options);
    let (answer, took) = timed(call(&client.build().unwrap())).await;
    assert_eq!(
        (answer.unwrap_err().code(), took),
        (Code::DeadlineExceeded, SECOND)
    );
}

#[tokio::test(start_paused = true)]
async fn it_covers_an_attempt() {
    let recording = Recording::of(1);
    let parts = ["node n0 at 10.0.0.0:1", "1 attempt"];
    ends_after_a_second(scripted(&recording, hang), &parts).await;
    assert_eq!(
        recording.diary.text(),
        "select:greeter next:n0 mark:n0:timed-out"
    );
}

#[tokio::test(start_paused = true)]
async fn it_covers_the_backoff() {
    let recording = Recording::of(1);
    let client = scripted(&recording, |_| async {
        Ok(failing(Status::unavailable("busy")))
    });
    let long = |cx: RetryContext<'_>| Ok(cx.attempt * 60 * SECOND);
    let client = client.options(CallOptions::new().idempotent(true).backoff(long));
    ends_after_a_second(client, &["1 attempt", "Unavailable: busy"]).await;
    assert_eq!(
        recording.diary.text(),
        "select:greeter next:n0 mark:n0:failed"
    );
}

#[tokio::test(start_paused = true)]
async fn it_covers_the_backoff_before_the_first_attempt() {
    let recording = Recording::of(1);
    let client = scripted(&recording, |_| async { unreachable!("nothing is sent") });
    let client = client.options(CallOptions::new().backoff(|_: RetryContext<'_>| Ok(2 * SECOND)));
    ends_after_a_second(client, &[]).await;
    assert_eq!(recording.diary.text(), "select:greeter");
}

#[tokio::test(start_paused = true)]
async fn it_covers_selection() {
    let client = scripted(&Recording::of(1), hang).selector(Undecided);
    ends_after_a_second(client, &[]).await;
}

/// tonic's server says CANCELLED when the time that it was given is over, and may say it sooner than a timer of ours fires.
#[tokio::test(start_paused = true)]
async fn a_node_that_gives_up_when_it_has_passed_does_not_make_the_call_cancelled() {
    let recording = Recording::of(1);
    let client = scripted(&recording, |_| async {
        sleep(SECOND).await;
        Ok(failing(Status::cancelled("Timeout expired")))
    });
    ends_after_a_second(client, &["node n0 at 10.0.0.0:1", "1 attempt"]).await;
    assert_eq!(
        recording.diary.text(),
        "select:greeter next:n0 mark:n0:timed-out"
    );
}

#[tokio::test(start_paused = true)]
async fn nor_does_one_that_resets_the_stream_then() {
    let client = scripted(&Recording::of(1), |_| async {
        sleep(SECOND).await;
        Err(Error::transport(h2::Error::from(h2::Reason::CANCEL)))
    });
    ends_after_a_second(client, &["node n0 at 10.0.0.0:1", "1 attempt"]).await;
}

#[tokio::test(start_paused = true)]
async fn nor_does_one_that_gives_up_in_the_middle_of_its_answer() {
    let client = scripted(&Recording::of(1), |_| async {
        let end = async {
            sleep(SECOND).await;
            [("grpc-status", "1")]
        };
        Ok(greeting_until("n0", end))
    });
    ends_after_a_second(client, &["node n0 at 10.0.0.0:1"]).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_node_cancels_in_time_was_cancelled() {
    let client = scripted(&Recording::of(1), |_| async {
        sleep(SECOND / 2).await;
        Ok(failing(Status::cancelled("maintenance")))
    });
    let client = client.options(within(SECOND)).build().unwrap();
    let status = call(&client).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Cancelled, "maintenance")
    );
}

#[tokio::test(start_paused = true)]
async fn it_covers_the_answer_to_its_last_byte() {
    let recording = Recording::of(1);
    let client = scripted(&recording, |_| async {
        Ok(greeting_until("n0", future::pending::<[_; 0]>()))
    });
    ends_after_a_second(client, &["node n0 at 10.0.0.0:1"]).await;
    assert_eq!(
        recording.diary.text(),
        "select:greeter next:n0 mark:n0:timed-out"
    );
}

#[tokio::test(start_paused = true)]
async fn it_covers_several_attempts_and_the_pauses_between_them_together() {
    let client = scripted(&Recording::of(1), |_| async {
        sleep(SECOND / 4).await;
        Ok(failing(Status::unavailable("busy")))
    });
    let pause = |cx: RetryContext<'_>| Ok(cx.attempt.min(1) * SECOND / 8);
    let options = CallOptions::new()
        .idempotent(true)
        .retries(9)
        .backoff(pause);
    let client = client.options(options.attempt_timeout(SECOND));
    // Attempts begin at 0, 375 and 750 ms; the fourth would begin at 1125 ms.
    ends_after_a_second(client, &["3 attempts", "Unavailable: busy"]).await;
}

#[tokio::test(start_paused = true)]
async fn no_attempt_begins_when_it_has_passed() {
    let recording = Recording::of(1);
    let client = scripted(&recording, |_| async {
        sleep(SECOND).await;
        Ok(failing(Status::unavailable("busy")))
    });
    let at_once = |_: RetryContext<'_>| Ok(Duration::ZERO);
    let options = CallOptions::new().idempotent(true).backoff(at_once);
    let options = options.attempt_timeout(9 * SECOND);
    ends_after_a_second(client.options(options), &["1 attempt"]).await;
    assert_eq!(recording.diary.count("next:n0"), 1);
}

/// A selector that takes a second.
#[derive(Debug)]
struct Slow(Recording);

impl Selector for Slow {
    fn select(&self, _: &ServiceName, _: &SelectOptions) -> Selection {
        let picker = self.0.picker();
        Selection::Pending(Box::pin(async move {
            sleep(SECOND).await;
            Ok(picker)
        }))
    }

    fn name(&self) -> &'static str {
        "slow"
    }
}

#[tokio::test(start_paused = true)]
async fn nor_does_the_first_when_selection_took_all_of_it() {
    let recording = Recording::of(1);
    let client = scripted(&recording, |_| async { Ok(greeting("n0")) });
    let client = client.selector(Slow(recording.clone()));
    ends_after_a_second(client, &["service greeter"]).await;
    assert_eq!(recording.diary.text(), "");
}

#[tokio::test(start_paused = true)]
async fn nor_does_the_first_when_its_backoff_took_all_of_it() {
    let recording = Recording::of(1);
    let client = scripted(&recording, |_| async { Ok(greeting("n0")) });
    let options = CallOptions::new().backoff(|_: RetryContext<'_>| Ok(SECOND));
    ends_after_a_second(client.options(options), &["service greeter"]).await;
    assert_eq!(recording.diary.text(), "select:greeter");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_has_come_beats_it() {
    let client = scripted(&Recording::of(1), |_| async {
        sleep(SECOND).await;
        Ok(greeting("n0"))
    });
    let client = client.options(within(SECOND)).build().unwrap();
    let (answer, took) = timed(call(&client)).await;
    assert_eq!((answer.unwrap().node, took), ("n0".into(), SECOND));
}

#[tokio::test(start_paused = true)]
async fn in_go_micros_dialects_it_is_go_micros_408() {
    let client = scripted(&Recording::of(1), hang).preset(Preset::GoMicroV2);
    let status = call(&client.build().unwrap()).await.unwrap_err();
    let error = Error::from(status);
    assert_eq!(error.micro_code(), 408);
    assert_eq!(error.micro().unwrap().detail, "context deadline exceeded");
}

/// How ten calls end that hang at a real server.
async fn ends_over_the_wire(preset: Preset) -> Vec<Error> {
    let fleet = Fleet::of(2).await;
    for greeter in &fleet.greeters {
        greeter.answer(Does::Never);
    }
    let client = wired().registry(fleet.registry()).preset(preset);
    let client = client.options(within(SECOND / 25)).build().unwrap();
    let mut errors = Vec::new();
    for _ in 0..10 {
        errors.push(call(&client).await.unwrap_err().into());
    }
    errors
}

// tonic keeps the time of `grpc-timeout` too; whichever clock is first, it is the call's deadline that has passed.
#[tokio::test]
async fn over_the_wire_it_is_told_in_the_same_words() {
    for error in ends_over_the_wire(Preset::Standard).await {
        assert_eq!(
            (error.kind(), error.code()),
            (Kind::Deadline, Code::DeadlineExceeded)
        );
        assert_eq!(error.text(), "deadline of 40ms exceeded");
    }
    for error in ends_over_the_wire(Preset::GoMicroV2).await {
        assert_eq!((error.kind(), error.micro_code()), (Kind::Deadline, 408));
    }
}

#[tokio::test(start_paused = true)]
async fn calls_at_the_same_time_have_each_their_own() {
    let client = scripted(&Recording::of(1), hang).build().unwrap();
    let call = |timeout| timed(hello_within(&client, timeout));
    let (short, long) = soon(future::join(call(SECOND), call(4 * SECOND))).await;
    assert_eq!((short.1, long.1), (SECOND, 4 * SECOND));
}

async fn hello_within(client: &Client, timeout: Duration) -> Result<HelloReply, Status> {
    let request = hello().with_options(within(timeout));
    let reply = greeter(client).say_hello(request).await;
    reply.map(tonic::Response::into_inner)
}
