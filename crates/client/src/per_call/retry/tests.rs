use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use tokio::time::{Instant, Sleep, sleep};
use tonic::{Code, Status};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_micro_call::{
    Body, Budget, CallOptions, Deadline, Dialect, Disposition, Error, Kind, Notes, ResponseBody,
    RetryContext,
};

use super::*;

mod hedging;

type Answer = Result<Response<ResponseBody>, Error>;

fn down() -> Error {
    Error::transport(std::io::Error::from(std::io::ErrorKind::ConnectionRefused))
}

fn unavailable() -> Error {
    Error::answered(Status::unavailable("busy"), Dialect::Grpc)
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
    let (answer, attempts) = call(quick(), once(), |_, _| async {
        Ok(Response::new(ResponseBody::empty()))
    })
    .await;
    assert!(answer.is_ok());
    assert_eq!(attempts, 1);
}

#[tokio::test]
async fn what_was_never_sent_is_done_again_whatever_the_method() {
    let node = |attempt, _| async move {
        if attempt < 2 {
            Err(down())
        } else {
            Ok(Response::new(ResponseBody::empty()))
        }
    };
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

/// A stream of two frames that does not end.
fn stream() -> Body {
    use futures_util::StreamExt;
    let frame = |bytes| Ok::<_, Status>(http_body::Frame::data(Bytes::from_static(bytes)));
    let frames = futures_util::stream::iter([frame(b"one"), frame(b"two")]);
    let endless = frames.chain(futures_util::stream::pending());
    tower_micro_call::Replay::capture(tonic::body::Body::new(http_body_util::StreamBody::new(
        endless,
    )))
}

async fn first_frame(request: Request<Body>) -> Bytes {
    let mut body = request.into_body();
    let frame = http_body_util::BodyExt::frame(&mut body).await;
    frame.unwrap().unwrap().into_data().unwrap()
}

#[tokio::test]
async fn a_stream_begins_at_its_first_frame_on_every_attempt() {
    let node = |_, request| async {
        assert_eq!(first_frame(request).await, "one");
        Err(down())
    };
    let (answer, attempts) = call(quick(), stream(), node).await;
    assert!(answer.is_err());
    assert_eq!(attempts, 3);
}

#[tokio::test]
async fn a_stream_of_which_more_was_read_than_is_kept_is_sent_once_and_does_not_fail_for_it() {
    let node = |_, request| async {
        first_frame(request).await;
        Err(down())
    };
    for limit in [0, 2] {
        let options = quick().replay_limit(limit);
        let (answer, attempts) = call(options, stream(), node).await;
        assert_eq!(answer.unwrap_err().kind(), Kind::Connect);
        assert_eq!(attempts, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_which_nothing_is_kept_is_sent_again_until_a_node_reads_it() {
    let waiting = CallOptions::new().wait_for_ready(true);
    for options in [quick(), waiting] {
        let node = |sent, request| async move {
            match sent {
                0..2 => Err(down()),
                _ => {
                    assert_eq!(first_frame(request).await, "one");
                    Ok(Response::new(ResponseBody::empty()))
                }
            }
        };
        let (answer, sent) = call(options.replay_limit(0), stream(), node).await;
        assert!(answer.is_ok(), "{answer:?}");
        assert_eq!(sent, 3);
    }
}

fn unseen(disposition: Disposition) -> Error {
    Error::transport("connection closed").with_disposition(disposition)
}

#[tokio::test(start_paused = true)]
async fn what_never_left_is_sent_again_uncounted_and_free_until_it_leaves() {
    let budget = Arc::new(Counted::default());
    let options = CallOptions::new()
        .retries(1)
        .budget(Arc::<Counted>::clone(&budget));
    let node = |sent, request: Request<Body>| async move {
        let number = Notes::of(&request).unwrap().attempt().number;
        assert_eq!(number, 0);
        match sent {
            0..15 => Err(unseen(Disposition::NeverSent)),
            _ => Ok(Response::new(ResponseBody::empty())),
        }
    };
    let (answer, sent) = call(options, once(), node).await;
    assert!(answer.is_ok());
    assert_eq!(sent, 16);
    assert_eq!(budget.withdrawals.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_deadline_ends_though_nothing_of_it_ever_leaves() {
    let node = |_, _| async { Err(unseen(Disposition::NeverSent)) };
    let (answer, sent) = call(quick().retries(1), once(), node).await;
    assert_eq!(answer.unwrap_err().attempts(), 2);
    assert_eq!(sent, 16 + 2);
}

#[tokio::test]
async fn what_a_node_refused_unseen_is_sent_once_more_and_then_counted() {
    let node = |_, _| async { Err(unseen(Disposition::Unprocessed)) };
    let (answer, sent) = call(quick().retries(1), once(), node).await;
    assert_eq!(answer.unwrap_err().attempts(), 2);
    assert_eq!(sent, 3);
}

fn pushed_back(value: &str) -> Error {
    let mut status = Status::unavailable("busy");
    let value = value.parse().unwrap();
    status
        .metadata_mut()
        .insert("grpc-retry-pushback-ms", value);
    Error::answered(status, Dialect::Grpc)
}

#[tokio::test(start_paused = true)]
async fn a_node_names_the_pause_to_the_millisecond() {
    let began = Instant::now();
    let options = CallOptions::new().retries(1).idempotent(true);
    let node = |_, _| async { Err(pushed_back("1234")) };
    call(options, once(), node).await.0.unwrap_err();
    assert_eq!(began.elapsed(), Duration::from_millis(1234));
}

#[tokio::test(start_paused = true)]
async fn the_backoff_grows_anew_after_a_node_has_named_the_pause() {
    let began = Instant::now();
    let options = CallOptions::new().retries(5).idempotent(true);
    let node = |attempt, _| async move {
        Err(if attempt == 3 {
            pushed_back("1000")
        } else {
            unavailable()
        })
    };
    call(options, once(), node).await.0.unwrap_err();
    // 25 + 25 + 50 before, 25 after, each give or take a fifth
    let around = began.elapsed() - Duration::from_secs(1);
    assert!(around <= Duration::from_millis(150), "{around:?}");
}

#[tokio::test]
async fn a_node_that_wants_no_retry_gets_none() {
    for word in ["-1", "later"] {
        let node = |_, _| async { Err(pushed_back(word)) };
        let (_, attempts) = call(quick().idempotent(true), once(), node).await;
        assert_eq!(attempts, 1);
    }
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

#[tokio::test]
async fn a_backoff_that_fails_is_a_failed_attempt_that_reached_nobody() {
    let options = CallOptions::new()
        .backoff(|cx: RetryContext<'_>| match cx.attempt {
            0 => Err(Error::new(Kind::Other, Code::Unknown, "no idea")),
            _ => Ok(Duration::ZERO),
        })
        .retry(|cx: RetryContext<'_>| Ok(cx.error.unwrap().kind() == Kind::Backoff));
    let (answer, attempts) = call(options, once(), |_, _| async {
        Ok(Response::new(ResponseBody::empty()))
    })
    .await;
    assert!(answer.is_ok());
    assert_eq!(attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn go_micros_delays_pass_between_its_attempts() {
    let began = Instant::now();
    let options = CallOptions::new()
        .retries(3)
        .retry(|_: RetryContext<'_>| Ok(true))
        .backoff(GoMicroBackoff);
    call(options, once(), |_, _| async { Err(down()) })
        .await
        .0
        .unwrap_err();
    assert_eq!(began.elapsed(), Duration::from_millis(100 + 600 + 1900));
}

#[derive(Default)]
struct Counted {
    deposits: AtomicU32,
    withdrawals: AtomicU32,
    left: AtomicU32,
}

impl Budget for Counted {
    fn deposit(&self) {
        self.deposits.fetch_add(1, SeqCst);
    }

    fn withdraw(&self) -> bool {
        self.withdrawals.fetch_add(1, SeqCst);
        self.left
            .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
            .is_ok()
    }
}

#[tokio::test]
async fn retries_stop_when_the_budget_is_spent() {
    let budget = Arc::new(Counted::default());
    budget.left.store(1, SeqCst);
    let options = quick().budget(Arc::<Counted>::clone(&budget));
    let (answer, attempts) = call(options, once(), |_, _| async { Err(down()) }).await;
    assert!(answer.is_err());
    assert_eq!(attempts, 2);
}

#[tokio::test]
async fn the_budget_is_asked_for_retries_only_and_paid_by_successes_only() {
    let budget = Arc::new(Counted::default());
    let options = || quick().budget(Arc::<Counted>::clone(&budget));
    call(options(), once(), |_, _| async {
        Ok(Response::new(ResponseBody::empty()))
    })
    .await
    .0
    .unwrap();
    let node = |_, _| async { Err(Error::answered(Status::not_found("x"), Dialect::Grpc)) };
    call(options(), once(), node).await.0.unwrap_err();
    assert_eq!(budget.deposits.load(SeqCst), 1);
    assert_eq!(budget.withdrawals.load(SeqCst), 0);
}

/// Is told when calls began, and otherwise that they succeeded.
#[derive(Default)]
struct Told(Mutex<Vec<Option<Instant>>>);

impl Budget for Told {
    fn deposit(&self) {
        self.0.lock().unwrap().push(None);
    }

    fn deposit_since(&self, began: Instant) {
        self.0.lock().unwrap().push(Some(began));
    }

    fn withdraw(&self) -> bool {
        true
    }
}

#[tokio::test(start_paused = true)]
async fn the_budget_is_told_when_a_call_with_a_deadline_began() {
    let budget = Arc::new(Told::default());
    let options = quick().budget(Arc::<Told>::clone(&budget));
    let options = Arc::new(options);
    let slow = service_fn(|_: Request<Body>| async {
        sleep(Duration::from_secs(3)).await;
        Ok::<_, Error>(Response::new(ResponseBody::empty()))
    });
    let began = Instant::now();
    let deadlines = [Deadline::after(Duration::from_secs(9), began)].map(Some);
    for deadline in deadlines.into_iter().chain([None]) {
        let mut request = request(once());
        let notes = Notes::of_mut(&mut request);
        notes.set_options(Arc::clone(&options), deadline);
        let retry = RetryLayer::new().layer(slow);
        retry.oneshot(request).await.unwrap();
    }
    assert_eq!(*budget.0.lock().unwrap(), [Some(began), None]);
}

#[tokio::test(start_paused = true)]
async fn what_is_taken_when_the_time_is_up_is_not_sent() {
    const SECOND: Duration = Duration::from_secs(1);
    let sent = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&sent);
    let node = service_fn(move |_: Request<Body>| {
        counted.fetch_add(1, SeqCst);
        async { Ok::<_, Error>(Response::new(ResponseBody::empty())) }
    });
    let mut request = request(once());
    let deadline = Deadline::after(SECOND, Instant::now());
    Notes::of_mut(&mut request).set_deadline(deadline);
    let retry = RetryLayer::new().layer(Later::new(SECOND, node));
    let error = retry.oneshot(request).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (Kind::Deadline, 0));
    assert_eq!(sent.load(SeqCst), 0);
}

/// A service that takes nothing for a while.
struct Later<S> {
    inner: S,
    wait: Duration,
    sleep: Pin<Box<Sleep>>,
}

impl<S> Later<S> {
    fn new(wait: Duration, inner: S) -> Self {
        let sleep = Box::pin(sleep(wait));
        Self { inner, wait, sleep }
    }
}

impl<S: Clone> Clone for Later<S> {
    fn clone(&self) -> Self {
        Self::new(self.wait, self.inner.clone())
    }
}

impl<S, R> Service<R> for Later<S>
where
    S: Service<R>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        ready!(self.sleep.as_mut().poll(cx));
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.inner.call(request)
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_is_longer_than_the_time_left_is_not_waited_for() {
    const SECOND: Duration = Duration::from_secs(1);
    let node = service_fn(|_: Request<Body>| async {
        Err::<Response<ResponseBody>, _>(pushed_back("5000"))
    });
    let began = Instant::now();
    for (timeout, waited) in [(5, 0), (6, 5)] {
        let mut request = request(once());
        let options = CallOptions::new()
            .retries(1)
            .retry(|_: RetryContext<'_>| Ok(true));
        let deadline = Deadline::after(timeout * SECOND, Instant::now());
        Notes::of_mut(&mut request).set_options(Arc::new(options), Some(deadline));
        let retry = RetryLayer::new().layer(node);
        let error = retry.oneshot(request).await.unwrap_err();
        assert_eq!((error.kind(), error.text()), (Kind::Status, "busy"));
        assert_eq!(began.elapsed(), waited * SECOND);
    }
}
