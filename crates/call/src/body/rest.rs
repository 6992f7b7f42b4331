//! What the caller still has to say.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as _, Frame};
use tonic::Status;

/// Polls `rest`. Whoever sends it may be a task that nobody waits for, where a panic would be the end of it and the node would wait for more:
/// so one is a failure of the stream.
pub(super) fn poll(
    rest: &mut tonic::body::Body,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
    let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(rest).poll_frame(cx)));
    polled.unwrap_or_else(|_| Poll::Ready(Some(Err(Status::internal("it panicked")))))
}
