//! A call that takes its time: two attempts fail and the third succeeds.

use std::time::Duration;

use http::Request;
use tokio::time::sleep;
use tonic::Status;
use tower_micro::{Body, CallOptions, RetryContext};

use super::{Answer, failing, greeting_until, node_of, number_of};

/// A backoff, an attempt and the end of the answer take so long each.
pub(crate) const STEP: Duration = Duration::from_millis(10);

/// What a node answers.
pub(crate) async fn third_time_lucky(request: Request<Body>) -> Answer {
    sleep(STEP).await;
    if number_of(&request) < 2 {
        return Ok(failing(Status::unavailable("busy")));
    }
    Ok(greeting_until(node_of(&request), async {
        sleep(STEP).await;
        [("grpc-status", "0")]
    }))
}

/// Tries again whatever it was that failed.
pub(crate) fn persistent() -> CallOptions {
    CallOptions::new()
        .retries(2)
        .retry(|cx: RetryContext<'_>| Ok(cx.error.is_some()))
        .backoff(|_: RetryContext<'_>| Ok(STEP))
}
