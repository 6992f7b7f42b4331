//! What the caller still has to say.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as _, Frame};
use tonic::Status;

/// So many frames in a row that carry nothing are passed over before others who run on this thread have their turn.
const NOTHING: usize = 64;

type Polled = Poll<Option<Result<Frame<Bytes>, Status>>>;

/// Polls `rest` for what is to be sent: bytes. Frames without any, which may come without end, are passed over.
// A frame is large: what is polled goes out as it stands.
#[inline]
pub(super) fn poll_bytes(rest: &mut tonic::body::Body, cx: &mut Context<'_>) -> Polled {
    let polled = Pin::new(&mut *rest).poll_frame(cx);
    if is_nothing(&polled) {
        return poll_past(rest, cx);
    }
    polled
}

fn is_nothing(polled: &Polled) -> bool {
    match polled {
        Poll::Ready(Some(Ok(frame))) => frame.data_ref().is_none_or(Bytes::is_empty),
        _ => false,
    }
}

#[cold]
fn poll_past(rest: &mut tonic::body::Body, cx: &mut Context<'_>) -> Polled {
    for _ in 1..NOTHING {
        let polled = Pin::new(&mut *rest).poll_frame(cx);
        if !is_nothing(&polled) {
            return polled;
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// The same. Whoever sends it may be a task that nobody waits for, where a panic would be the end of it and the node would wait for more:
/// so one is a failure of the stream.
pub(super) fn poll(rest: &mut tonic::body::Body, cx: &mut Context<'_>) -> Polled {
    let polled = catch_unwind(AssertUnwindSafe(|| poll_bytes(rest, cx)));
    polled.unwrap_or_else(|_| Poll::Ready(Some(Err(Status::internal("it panicked")))))
}
