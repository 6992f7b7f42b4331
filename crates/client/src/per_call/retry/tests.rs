use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};
use tower::{Layer, ServiceExt, service_fn};
use tower_micro_call::{
    Body, Budget, CallOptions, Deadline, Dialect, Disposition, Error, Kind, Notes, ResponseBody,
    RetryContext,
};

use self::{budget::Counted, pauses::pushed_back, streams::talk};
use super::*;

mod budget;
mod heads;
mod hedging;
mod late;
mod pauses;
mod streams;
mod unseen;

type Answer = Result<Response<ResponseBody>, Error>;

fn down() -> Error {
    Error::transport(std::io::Error::from(std::io::ErrorKind::ConnectionRefused))
}

fn unavailable() -> Error {
    Error::answered(Status::unavailable("busy"), Dialect::Grpc)
}

fn good() -> Answer {
    Ok(Response::new(ResponseBody::empty()))
}

fn request(body: Body) -> Request<Body> {
    let mut request = Request::new(body);
    request.headers_mut().insert("x-mine", "1".parse().unwrap());
    request
}

/// Runs one call over `node`, which is told the zero-based number of the attempt.
async fn call<F, Fut>(options: CallOptions, body: Body, node: F) -> (Answer, u32)
where
    F: Fn(u32, Request<Body>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Answer> + Send + 'static,
{
    let attempts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&attempts);
    let service = service_fn(move |request| node(counted.fetch_add(1, SeqCst), request));
    let retry = RetryLayer::with_options(options).layer(service);
    let answer = retry.oneshot(request(body)).await;
    (answer, attempts.load(SeqCst))
}

fn once() -> Body {
    Body::from(Bytes::from_static(b"hello"))
}

fn quick() -> CallOptions {
    CallOptions::new().backoff(|_: RetryContext<'_>| Ok(Duration::ZERO))
}

#[tokio::test]
async fn a_success_is_one_attempt() {
    let (answer, attempts) = call(quick(), once(), |_, _| async { good() }).await;
    assert!(answer.is_ok());
    assert_eq!(attempts, 1);
}

#[tokio::test]
async fn what_was_never_sent_is_done_again_whatever_the_method() {
    let node = |attempt, _| async move { if attempt < 2 { Err(down()) } else { good() } };
    let (answer, attempts) = call(quick(), once(), node).await;
    assert!(answer.is_ok());
    assert_eq!(attempts, 3);
}

#[tokio::test]
async fn unavailable_is_done_again_only_where_twice_is_as_good_as_once() {
    let node = |_, _| async { Err(unavailable()) };
    let (_, attempts) = call(quick(), once(), node).await;
    assert_eq!(attempts, 1);
    let (_, attempts) = call(quick().idempotent(true), once(), node).await;
    assert_eq!(attempts, 3);
}

/// Has no end.
#[derive(Debug)]
struct Endless;

impl Budget for Endless {
    fn deposit(&self) {}

    fn withdraw(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn attempts_that_fail_at_once_without_end_let_others_run() {
    let node = |_, _| async { Err(down()) };
    let options = quick().retries(u32::MAX).budget(Arc::new(Endless));
    let mut endless = tokio_test::task::spawn(call(options, once(), node));
    for _ in 0..3 {
        tokio_test::assert_pending!(endless.poll());
        assert!(endless.is_woken(), "and it goes on when they have run");
    }
}

#[tokio::test]
async fn a_business_error_is_not_done_again() {
    let node = |_, _| async { Err(Error::answered(Status::not_found("x"), Dialect::Grpc)) };
    let (answer, attempts) = call(quick().idempotent(true), once(), node).await;
    assert_eq!(answer.unwrap_err().code(), Code::NotFound);
    assert_eq!(attempts, 1);
}

#[tokio::test]
async fn the_last_error_is_the_result_and_tells_of_the_one_before() {
    let node = |attempt, _| async move { Err(if attempt == 1 { unavailable() } else { down() }) };
    let (answer, _) = call(quick().idempotent(true), once(), node).await;
    let error = answer.unwrap_err();
    assert_eq!(error.attempts(), 3);
    assert_eq!(error.kind(), Kind::Connect);
    assert_eq!(error.previous().unwrap().text(), "busy");
}

#[tokio::test]
async fn every_attempt_gets_the_request_as_it_came_in() {
    let node = |attempt, mut request: Request<Body>| async move {
        assert_eq!(request.headers()["x-mine"], "1");
        assert!(!request.headers().contains_key("x-attempt"));
        assert_eq!(Notes::of(&request).unwrap().attempt().number, attempt);
        request.headers_mut().insert("x-attempt", attempt.into());
        let body = http_body_util::BodyExt::collect(request.into_body())
            .await
            .unwrap();
        assert_eq!(body.to_bytes(), "hello");
        Err(down())
    };
    let (_, attempts) = call(quick(), once(), node).await;
    assert_eq!(attempts, 3);
}

#[tokio::test]
async fn the_backoff_is_asked_from_zero_and_the_predicate_after_the_last_attempt_too() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (backoffs, verdicts) = (Arc::clone(&asked), Arc::clone(&asked));
    let options = CallOptions::new()
        .retries(1)
        .backoff(move |cx: RetryContext<'_>| {
            backoffs.lock().unwrap().push(("backoff", cx.attempt));
            Ok(Duration::ZERO)
        })
        .retry(move |cx: RetryContext<'_>| {
            verdicts.lock().unwrap().push(("retry", cx.attempt));
            Ok(true)
        });
    call(options, once(), |_, _| async { Err(down()) })
        .await
        .0
        .unwrap_err();
    let expected = [("backoff", 0), ("retry", 0), ("backoff", 1), ("retry", 1)];
    assert_eq!(*asked.lock().unwrap(), expected);
}

#[tokio::test]
async fn an_error_of_the_predicate_replaces_the_result() {
    let options = quick().retry(|_: RetryContext<'_>| -> Result<bool, Error> {
        Err(Error::new(Kind::Other, Code::Aborted, "policy says no"))
    });
    let (answer, attempts) = call(options, once(), |_, _| async { Err(down()) }).await;
    assert_eq!(answer.unwrap_err().text(), "policy says no");
    assert_eq!(attempts, 1);
}
