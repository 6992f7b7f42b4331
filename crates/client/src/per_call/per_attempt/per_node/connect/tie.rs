//! Ties a request that is still being sent to its call.
//!
//! Once the headers of an answer have come, hyper sends the request for as long as its stream goes on, whether anybody reads the
//! answer or not (`proto/h2/client.rs`, `PipeMap`). A tied request is reset with CANCEL when its call ends: when the caller lets go of the
//! answer, when the deadline passes, when trailers come (grpc-go's `closeStream` in `internal/transport/http2_client.go` does the same).

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::Request;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::oneshot;
use tonic::Status;
use tower_micro_call::{Body, End, Ended, Replay};

/// Resets the request it was made with when it is dropped.
#[derive(Debug)]
pub(super) struct Tie {
    _call: oneshot::Sender<Infallible>,
}

impl Tie {
    /// A tie, and what is ready when it is dropped.
    pub(super) fn pair() -> (Self, oneshot::Receiver<Infallible>) {
        let (tie, call) = oneshot::channel();
        (Self { _call: tie }, call)
    }
}

impl Ended for Tie {
    fn ended(self: Box<Self>, _: End<'_>) {}
}

/// The request, and what keeps it going; a request that is complete needs nothing.
pub(super) fn tied(request: Request<Body>) -> (Request<tonic::body::Body>, Option<Tie>) {
    if request.body().is_complete() {
        return (request.map(tonic::body::Body::restore), None);
    }
    let (tie, call) = Tie::pair();
    let request = request.map(|body| tonic::body::Body::new(Tied { body, call }));
    (request, Some(tie))
}

/// A request body that fails when its call has ended.
struct Tied {
    body: Body,
    call: oneshot::Receiver<Infallible>,
}

impl HttpBody for Tied {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if Pin::new(&mut self.call).poll(cx).is_ready() {
            return Poll::Ready(Some(Err(ended())));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// hyper looks for the code of the reset in the source chain.
fn ended() -> Status {
    let mut status = Status::cancelled("the call has ended");
    status.set_source(Arc::new(h2::Error::from(h2::Reason::CANCEL)));
    status
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use http_body_util::BodyExt;
    use tokio_test::{assert_pending, assert_ready, task};

    use super::*;

    /// A stream that waits for its caller.
    fn open() -> Request<Body> {
        let frames = futures_util::stream::pending::<Result<Frame<Bytes>, Status>>();
        let body = http_body_util::StreamBody::new(frames);
        Request::new(tonic::body::Body::new(body).capture())
    }

    #[test]
    fn a_request_that_goes_on_is_reset_when_its_call_ends() {
        let (request, tie) = tied(open());
        let mut body = request.into_body();
        let mut frame = task::spawn(body.frame());
        assert_pending!(frame.poll());
        drop(tie);
        assert!(frame.is_woken());
        let status = assert_ready!(frame.poll()).unwrap().unwrap_err();
        let reset = status.source().unwrap().downcast_ref::<h2::Error>();
        assert_eq!(reset.unwrap().reason(), Some(h2::Reason::CANCEL));
    }

    #[test]
    fn a_request_that_is_complete_is_not_tied() {
        let message = Body::from(Bytes::from_static(b"hello"));
        let (_, tie) = tied(Request::new(message));
        assert!(tie.is_none());
    }
}
