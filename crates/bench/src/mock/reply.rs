use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header::CONTENT_TYPE};
use http_body::{Body as HttpBody, Frame};
use tonic::Status;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const OK: HeaderValue = HeaderValue::from_static("0");
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
/// Five bytes of prefix, and three of message.
const FRAME: Bytes = Bytes::from_static(b"\0\0\0\0\x03yes");

/// Headers, a message, and the status in trailers.
pub(super) fn unary() -> Response<tonic::body::Body> {
    let mut response = Response::new(tonic::body::Body::new(Message::Whole));
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

/// How much of the body is still to come.
#[derive(Clone, Copy, Debug)]
enum Message {
    Whole,
    Trailers,
    Nothing,
}

impl HttpBody for Message {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let (frame, rest) = match *self {
            Self::Whole => (Frame::data(FRAME), Self::Trailers),
            Self::Trailers => (Frame::trailers(trailers()), Self::Nothing),
            Self::Nothing => return Poll::Ready(None),
        };
        *self = rest;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([(GRPC_STATUS, OK)])
}
