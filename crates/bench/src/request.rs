//! The request of every call: what a generated client hands to its channel for a unary method.
//!
//! One frame of gRPC (a prefix of 5 bytes, a message of 64), split off a buffer as tonic's encoder does it, so that a clone of it
//! counts references and copies nothing. Building it is part of every case, the empty one too, and so cancels out.

use bytes::{BufMut, Bytes, BytesMut};
use http::{
    HeaderValue, Method, Request, Uri, Version,
    header::{CONTENT_TYPE, TE, USER_AGENT},
};
use http_body_util::Full;
use tonic::GrpcMethod;
use tower_micro::{Body, Payload, Replay};

/// Bytes of the message.
pub const MESSAGE: usize = 64;
/// Bytes before it: a flag for compression, and the length.
const PREFIX: usize = 5;

/// A unary request to `/greeter.Greeter/SayHello`.
pub fn unary() -> Request<tonic::body::Body> {
    let mut request = Request::new(tonic::body::Body::new(Full::new(frame())));
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = Uri::from_static("/greeter.Greeter/SayHello");
    let headers = request.headers_mut();
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(USER_AGENT, HeaderValue::from_static("tonic/0.14.5"));
    let method = GrpcMethod::new("greeter.Greeter", "SayHello");
    request.extensions_mut().insert(method);
    request
}

/// The same, with a body that can be sent again: one run of bytes, in no box.
pub fn repeatable() -> Request<Payload> {
    unary().map(Payload::from)
}

/// The same, with the body as it is inside of our door.
pub fn captured() -> Request<Body> {
    unary().map(Replay::capture)
}

fn frame() -> Bytes {
    let mut buffer = BytesMut::with_capacity(PREFIX + MESSAGE);
    buffer.put_u8(0);
    buffer.put_u32(MESSAGE as u32);
    buffer.put_bytes(b'x', MESSAGE);
    buffer.split().freeze()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn the_body_is_one_frame_of_grpc() {
        let mut body = unary().into_body();
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(frame.len(), PREFIX + MESSAGE);
        assert_eq!(frame[..PREFIX], [0, 0, 0, 0, 64]);
        assert!(body.frame().await.is_none());
    }

    #[test]
    fn a_captured_body_can_be_sent_again() {
        assert!(captured().into_body().replay().is_some());
        assert!(repeatable().into_body().replay().is_some());
    }
}
