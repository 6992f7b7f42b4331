//! How long is waited between two attempts, and who says so.

use super::*;

pub(super) fn pushed_back(value: &str) -> Error {
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
async fn a_backoff_that_fails_is_a_failed_attempt_that_reached_nobody() {
    let options = CallOptions::new()
        .backoff(|cx: RetryContext<'_>| match cx.attempt {
            0 => Err(Error::new(Kind::Other, Code::Unknown, "no idea")),
            _ => Ok(Duration::ZERO),
        })
        .retry(|cx: RetryContext<'_>| Ok(cx.error.unwrap().kind() == Kind::Backoff));
    let (answer, attempts) = call(options, once(), |_, _| async { good() }).await;
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
