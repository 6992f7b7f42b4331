use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::StreamExt;
use http_body_util::{BodyExt, StreamBody};
use tokio::time::Instant;

use super::*;
use crate::{CallOptions, Notes};

type Frames = Vec<Result<Frame<Bytes>, Status>>;

fn body_of(frames: Frames) -> ResponseBody {
    tonic::body::Body::new(StreamBody::new(futures_util::stream::iter(frames))).into()
}

/// Frames, and then nothing, for ever.
fn stuck(frames: Frames) -> ResponseBody {
    let never = futures_util::stream::pending();
    let frames = futures_util::stream::iter(frames).chain(never);
    tonic::body::Body::new(StreamBody::new(frames)).into()
}

fn message() -> Result<Frame<Bytes>, Status> {
    Ok(Frame::data(Bytes::from_static(b"message")))
}

fn trailers(headers: &[(&'static str, &'static str)]) -> Result<Frame<Bytes>, Status> {
    let pairs = headers.iter().map(|(name, value)| {
        let name = http::HeaderName::from_static(name);
        (name, http::HeaderValue::from_static(value))
    });
    Ok(Frame::trailers(pairs.collect()))
}

/// Writes down every end of `body`.
fn watched(mut body: ResponseBody) -> (ResponseBody, Arc<Mutex<Vec<String>>>) {
    let ends = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&ends);
    body.on_end(Box::new(move |end: End<'_>| {
        let told = match end {
            End::Ok => "ok".to_owned(),
            End::Failed(error) => format!("{:?}", error.code()),
            End::Dropped => "dropped".to_owned(),
        };
        seen.lock().unwrap().push(told);
    }));
    (body, ends)
}

async fn read(body: ResponseBody) -> (Result<Option<HeaderMap>, Status>, Vec<String>) {
    let (body, ends) = watched(body);
    let read = body.collect().await;
    let read = read.map(|read| read.trailers().cloned());
    let ends = ends.lock().unwrap().clone();
    (read, ends)
}

#[tokio::test]
async fn trailers_end_a_call() {
    let (read, ends) = read(body_of(vec![message(), trailers(&[("grpc-status", "0")])])).await;
    assert!(read.unwrap().is_some());
    assert_eq!(ends, ["ok"]);
}

#[tokio::test]
async fn a_failure_in_trailers_passes_unchanged_and_is_told() {
    let sent = trailers(&[("grpc-status", "5"), ("grpc-message", "gone")]);
    let (read, ends) = read(body_of(vec![message(), sent])).await;
    assert_eq!(read.unwrap().unwrap()["grpc-message"], "gone");
    assert_eq!(ends, ["NotFound"]);
}

#[tokio::test]
async fn trailers_that_would_make_a_reader_panic_are_scrubbed() {
    let sent = trailers(&[("grpc-status", "5"), ("grpc-status-details-bin", "!!!")]);
    let (read, _) = read(body_of(vec![sent])).await;
    assert!(
        !read
            .unwrap()
            .unwrap()
            .contains_key("grpc-status-details-bin")
    );
}

#[tokio::test]
async fn a_stream_that_stops_without_a_status_has_failed() {
    for frames in [vec![], vec![message()]] {
        let (read, ends) = read(body_of(frames)).await;
        assert_eq!(read.unwrap_err().code(), Code::Unknown);
        assert_eq!(ends, ["Unknown"]);
    }
}

#[tokio::test]
async fn trailers_without_a_status_are_given_one() {
    let (read, ends) = read(body_of(vec![message(), trailers(&[("x-id", "7")])])).await;
    assert_eq!(read.unwrap().unwrap()["grpc-status"], "2");
    assert_eq!(ends, ["Unknown"]);
}

#[tokio::test]
async fn a_broken_stream_tells_its_cause_and_what_is_known_of_the_call() {
    let mut broken = Status::unknown("h2");
    broken.set_source(Arc::new(std::io::Error::from(
        std::io::ErrorKind::BrokenPipe,
    )));
    struct OnNode;
    impl Ended for OnNode {
        fn ended(self: Box<Self>, _: End<'_>) {}

        fn explain(&self, error: Error) -> Error {
            error.with_hint("it was node seven")
        }
    }
    let mut body = body_of(vec![message(), Err(broken)]);
    body.on_end(Box::new(OnNode));
    let (read, ends) = read(body).await;
    let status = read.unwrap_err();
    assert_eq!(ends, [format!("{:?}", status.code())]);
    assert!(
        status.message().contains("node seven"),
        "{}",
        status.message()
    );
}

#[tokio::test]
async fn letting_go_of_a_body_is_told_once() {
    let (mut body, ends) = watched(stuck(vec![message()]));
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert_eq!(*ends.lock().unwrap(), ["dropped"]);
    let (body, ends) = watched(ResponseBody::empty());
    drop(body);
    assert_eq!(*ends.lock().unwrap(), ["ok"]);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_a_body_however_much_has_come() {
    let mut body = stuck(vec![message()]);
    body.set_deadline(Deadline::after(Duration::from_secs(3), Instant::now()));
    let began = Instant::now();
    let (read, ends) = read(body).await;
    let status = read.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(ends, ["DeadlineExceeded"]);
    assert_eq!(began.elapsed(), Duration::from_secs(3));
    assert!(!status.message().contains("streaming"));
}

/// A node that always has another message at hand.
fn endless() -> ResponseBody {
    let messages = futures_util::stream::repeat_with(message);
    tonic::body::Body::new(StreamBody::new(messages)).into()
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_a_body_of_which_more_is_there_than_is_read() {
    let (mut body, ends) = watched(endless());
    body.set_deadline(Deadline::after(Duration::from_secs(3), Instant::now()));
    for _ in 0..3 {
        body.frame().await.unwrap().unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    body.frame().await.unwrap().expect("it has come in time");
    tokio::time::advance(Duration::from_millis(1)).await;
    let status = body.frame().await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(body.frame().await.is_none());
    assert_eq!(*ends.lock().unwrap(), ["DeadlineExceeded"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_there_in_one_piece_beats_a_deadline_that_has_passed() {
    let mut body = body_of(vec![message(), trailers(&[("grpc-status", "0")])]);
    body.set_deadline(Deadline::after(Duration::from_secs(3), Instant::now()));
    tokio::time::advance(Duration::from_secs(4)).await;
    let (read, ends) = read(body).await;
    assert!(read.is_ok());
    assert_eq!(ends, ["ok"]);
}

#[tokio::test(start_paused = true)]
async fn so_does_the_end_of_a_stream() {
    let ok = trailers(&[("grpc-status", "0")]);
    let mut body = body_of(vec![message(), message(), ok]);
    body.set_deadline(Deadline::after(Duration::from_secs(3), Instant::now()));
    for _ in 0..2 {
        body.frame().await.unwrap().unwrap();
    }
    tokio::time::advance(Duration::from_secs(4)).await;
    let (read, ends) = read(body).await;
    assert!(read.is_ok());
    assert_eq!(ends, ["ok"]);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_in_the_middle_of_a_stream_says_how_to_mark_the_method() {
    let mut body = stuck(vec![message(), message()]);
    body.set_deadline(Deadline::after(Duration::from_secs(3), Instant::now()));
    let (read, _) = read(body).await;
    assert!(read.unwrap_err().message().contains("streaming(true)"));
}

#[tokio::test(start_paused = true)]
async fn a_method_that_is_marked_is_not_advised_to_be() {
    let mut body = stuck(vec![message(), message()]);
    body.set_streaming();
    body.set_deadline(Deadline::after(Duration::from_secs(3), Instant::now()));
    let (read, _) = read(body).await;
    assert!(!read.unwrap_err().message().contains("streaming"));
}

/// A stream that its node resets after three seconds, with CANCEL.
fn reset() -> ResponseBody {
    let reset = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let mut status = Status::cancelled("reset");
        status.set_source(Arc::new(h2::Error::from(h2::Reason::CANCEL)));
        Err::<Frame<Bytes>, _>(status)
    };
    let frames = futures_util::stream::iter([message()]).chain(futures_util::stream::once(reset));
    tonic::body::Body::new(StreamBody::new(frames)).into()
}

#[tokio::test(start_paused = true)]
async fn a_node_that_resets_the_stream_when_the_time_is_up_does_not_cancel_it() {
    for (seconds, code) in [(3, Code::DeadlineExceeded), (4, Code::Cancelled)] {
        let mut body = reset();
        body.set_deadline(Deadline::after(
            Duration::from_secs(seconds),
            Instant::now(),
        ));
        let (read, ends) = read(body).await;
        assert_eq!(read.unwrap_err().code(), code);
        assert_eq!(ends, [format!("{code:?}")]);
    }
}

#[tokio::test]
async fn frames_that_were_looked_at_come_first_and_in_order() {
    let mut body = body_of(vec![message(), trailers(&[("grpc-status", "0")])]);
    let failed = std::future::poll_fn(|cx| body.poll_whole(cx, 1024)).await;
    assert!(failed.is_none());
    assert!(!body.is_end_stream());
    let read = body.collect().await.unwrap();
    assert!(read.trailers().is_some());
    assert_eq!(read.to_bytes(), "message");
}

#[tokio::test]
async fn frames_without_end_are_not_kept_without_end() {
    let empty = futures_util::stream::repeat_with(|| Ok::<_, Status>(Frame::data(Bytes::new())));
    let mut body = ResponseBody::new(StreamBody::new(empty));
    let failed = std::future::poll_fn(|cx| body.poll_whole(cx, 1024)).await;
    assert!(failed.is_none());
}

#[tokio::test]
async fn no_more_is_kept_than_may_be() {
    let many = (0..100).map(|_| message()).collect();
    let mut body = stuck(many);
    std::future::poll_fn(|cx| body.poll_whole(cx, 64)).await;
    assert!(body.kept() <= 64 + 7);
}

#[tokio::test]
async fn a_body_of_ours_is_not_wrapped_again() {
    let (body, ends) = watched(stuck(vec![]));
    drop(ResponseBody::new(body));
    assert_eq!(*ends.lock().unwrap(), ["dropped"]);
}

#[tokio::test]
async fn a_budget_is_paid_once_when_the_call_has_ended_well() {
    #[derive(Default)]
    struct Paid(Mutex<Vec<Instant>>);
    impl crate::Budget for Paid {
        fn deposit(&self) {
            unreachable!("it is known when the call began");
        }

        fn deposit_since(&self, began: Instant) {
            self.0.lock().unwrap().push(began);
        }

        fn withdraw(&self) -> bool {
            false
        }
    }
    let (budget, began) = (Arc::new(Paid::default()), Instant::now());
    let options = CallOptions::new().budget(Arc::<Paid>::clone(&budget));
    let deadline = Deadline::after(Duration::from_secs(1), began);
    let mut notes = Notes::default();
    notes.set_options(Arc::new(options), Some(deadline));
    for status in ["0", "14"] {
        let mut body = body_of(vec![message(), trailers(&[("grpc-status", status)])]);
        body.pay_budget_of(notes.common().clone());
        read(body).await.0.unwrap();
        assert_eq!(*budget.0.lock().unwrap(), [began]);
    }
    let mut ended = ResponseBody::empty();
    ended.pay_budget_of(notes.common().clone());
    assert_eq!(*budget.0.lock().unwrap(), [began, began]);
}

#[tokio::test]
async fn the_node_is_told_after_the_end_and_counts_the_call_no_more() {
    use tower_micro_selector::{Candidate, Picker};

    let node = Candidate::at("10.0.0.1:1");
    for frames in [vec![message(), trailers(&[("grpc-status", "0")])], vec![]] {
        let mut notes = Notes::default();
        notes.set_picker(
            &"greeter".parse().unwrap(),
            Picker::fixed(Arc::clone(&node)),
        );
        notes.set_node(notes.picker().unwrap().choose().unwrap());
        let mut body = body_of(frames);
        body.set_picked(Picked::begin(&notes, &crate::Marking::Nobody).unwrap());
        body.set_attempts(2);
        assert_eq!(node.in_flight(), 1);
        let _ = body.poll_whole(&mut Context::from_waker(std::task::Waker::noop()), 1024);
        assert_eq!((node.in_flight(), body.attempts()), (0, 2));
        assert!(Arc::ptr_eq(body.node().unwrap(), &node));
    }
    assert_eq!(node.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_around_another_tells_the_end_of_the_one_inside() {
    let mut inside = stuck(vec![message()]);
    inside.set_deadline(Deadline::after(Duration::from_secs(3), Instant::now()));
    let around = ResponseBody::new(inside.map_frame(|frame| frame));
    let (read, ends) = read(around).await;
    assert_eq!(read.unwrap_err().code(), Code::DeadlineExceeded);
    assert_eq!(ends, ["DeadlineExceeded"]);
}

#[tokio::test]
async fn a_status_that_a_body_fails_with_is_the_callers() {
    let frames = vec![message(), Err(Status::data_loss("a wrong checksum"))];
    let (read, ends) = read(body_of(frames)).await;
    let status = read.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::DataLoss, "a wrong checksum")
    );
    assert_eq!(ends, ["DataLoss"]);
}

// A call wrapper may answer with what another client got.
#[tokio::test(start_paused = true)]
async fn what_a_body_was_given_before_is_told_of_its_end_too() {
    use tower_micro_selector::Candidate;

    #[derive(Default)]
    struct Paid(std::sync::atomic::AtomicU32);
    impl crate::Budget for Paid {
        fn deposit(&self) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }

        fn withdraw(&self) -> bool {
            false
        }
    }
    let budgets = [Arc::new(Paid::default()), Arc::new(Paid::default())];
    let nodes = ["10.0.0.1:1", "10.0.0.2:1"].map(Candidate::at);
    let mut body = body_of(vec![message(), trailers(&[("grpc-status", "0")])]);
    for (node, budget) in nodes.iter().zip(&budgets) {
        let mut notes = Notes::of_service("greeter".parse().unwrap());
        let options = CallOptions::new().budget(Arc::<Paid>::clone(budget));
        notes.set_options(Arc::new(options), None);
        notes.set_node(Arc::clone(node));
        body.set_picked(Picked::begin(&notes, &crate::Marking::Nobody).unwrap());
        body.pay_budget_of(notes.common().clone());
    }
    let told = |body: &ResponseBody| {
        let paid = |budget: &Arc<Paid>| budget.0.load(std::sync::atomic::Ordering::SeqCst);
        let in_flight = nodes.each_ref().map(|node| node.in_flight());
        (
            body.node().unwrap().address.clone(),
            in_flight,
            budgets.each_ref().map(paid),
        )
    };
    assert_eq!(told(&body), ("10.0.0.2:1".into(), [1, 1], [0, 0]));
    let _ = body.poll_whole(&mut Context::from_waker(std::task::Waker::noop()), 1024);
    assert_eq!(told(&body), ("10.0.0.2:1".into(), [0, 0], [1, 1]));

    #[derive(Default)]
    struct Connection(Mutex<Vec<String>>);
    impl SharedEnded for Connection {
        fn ended(&self, end: End<'_>) {
            self.0.lock().unwrap().push(format!("{end:?}"));
        }
    }
    let connections = [Arc::<Connection>::default(), Arc::default()];
    let mut body = stuck(vec![message()]);
    for connection in &connections {
        body.set_connection(Arc::<Connection>::clone(connection));
    }
    assert!(
        connections.iter().all(|one| Arc::strong_count(one) == 2),
        "it is lent"
    );
    drop(body);
    for connection in connections {
        assert_eq!(*connection.0.lock().unwrap(), ["Dropped"]);
    }

    let mut slow = stuck(vec![message()]);
    for seconds in [1, 3] {
        slow.set_deadline(Deadline::after(
            Duration::from_secs(seconds),
            Instant::now(),
        ));
    }
    let began = Instant::now();
    assert!(read(slow).await.0.is_err());
    assert_eq!(
        began.elapsed(),
        Duration::from_secs(1),
        "the earlier one ends it"
    );
}

#[test]
fn an_answer_in_plain_http_is_a_failure_by_its_status() {
    let answer = |status: u16| {
        let response = http::Response::builder().status(status);
        let response = response.body(tonic::body::Body::empty()).unwrap();
        let failure = AnswerBody::adopt(response).body().failure();
        failure.map(|error| error.code())
    };
    assert_eq!(answer(503), Some(Code::Unavailable));
    assert_eq!(answer(401), Some(Code::Unauthenticated));
    assert_eq!(answer(404), Some(Code::Unimplemented));
    assert_eq!(answer(200), None, "its body is still to come");
}
