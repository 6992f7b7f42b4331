//! When the time is up, or nearly.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::time::Sleep;
use tower_service::Service;

use super::*;

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
