//! What a generated client sends, taken as far as it is there.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame};
use tonic::Status;

use super::{
    payload::{Other, Payload},
    rest,
};

/// Bytes taken in advance from a body that has not ended.
pub(super) const AHEAD: usize = 64 * 1024;

impl From<tonic::body::Body> for Payload {
    /// Takes what is there without waiting.
    fn from(body: tonic::body::Body) -> Self {
        drain(body)
    }
}

/// Polls `rest` until it ends, fails, has to wait, or has given enough. A unary message is one frame, and costs no queue.
fn drain(mut rest: tonic::body::Body) -> Payload {
    let first = match poll_now(&mut rest) {
        Poll::Ready(Some(Ok(frame))) => frame,
        Poll::Ready(Some(Err(status))) => return Other::Failed(status).into(),
        Poll::Ready(None) => return Payload::default(),
        Poll::Pending => return pending(VecDeque::new(), rest),
    };
    match poll_now(&mut rest) {
        Poll::Ready(None) => first.into_data().unwrap_or_default().into(),
        Poll::Ready(Some(Err(status))) => Other::Failed(status).into(),
        Poll::Ready(Some(Ok(second))) => drain_more(VecDeque::from([first, second]), rest),
        Poll::Pending => pending(VecDeque::from([first]), rest),
    }
}

/// The same of a body in several frames, of which those that carry nothing may have no end.
fn drain_more(mut ahead: VecDeque<Frame<Bytes>>, mut rest: tonic::body::Body) -> Payload {
    let size = |frame: &Frame<Bytes>| frame.data_ref().map_or(0, Bytes::len);
    ahead.retain(|frame| size(frame) > 0);
    let mut taken: usize = ahead.iter().map(size).sum();
    while taken < AHEAD {
        match rest::poll_bytes(&mut rest, &mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Ok(frame))) => {
                taken += size(&frame);
                ahead.push_back(frame);
            }
            Poll::Ready(Some(Err(status))) => return Other::Failed(status).into(),
            Poll::Ready(None) => return joined(ahead),
            Poll::Pending => break,
        }
    }
    pending(ahead, rest)
}

fn pending(ahead: VecDeque<Frame<Bytes>>, rest: tonic::body::Body) -> Payload {
    Other::Pending { ahead, rest }.into()
}

/// Polls without a waker: whoever polls next registers a real one.
fn poll_now(body: &mut tonic::body::Body) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
    Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()))
}

/// One run of bytes out of all frames.
fn joined(frames: VecDeque<Frame<Bytes>>) -> Payload {
    let mut all = BytesMut::new();
    let data = frames
        .into_iter()
        .filter_map(|frame| frame.into_data().ok());
    data.for_each(|bytes| all.extend_from_slice(&bytes));
    all.freeze().into()
}
