//! What one writes by hand to retry over tonic: a request that can be cloned.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use tonic::body::Body;

/// A body that can be sent again.
pub(super) type Repeatable = Full<Bytes>;

/// The whole body of a unary request: it is there already.
pub(super) fn captured(request: Request<Body>) -> Request<Repeatable> {
    request.map(|body| {
        let mut cx = Context::from_waker(Waker::noop());
        match pin!(body.collect()).poll(&mut cx) {
            Poll::Ready(Ok(whole)) => Full::new(whole.to_bytes()),
            _ => unreachable!("a unary request is encoded without waiting"),
        }
    })
}

/// As tonic's channel takes it.
pub(super) fn released(request: Request<Repeatable>) -> Request<Body> {
    request.map(Body::new)
}

/// Whether it is worth another attempt: not answered, or UNAVAILABLE in the headers, which is as far as a layer sees.
pub(super) fn failed<RB, E>(answer: &Result<http::Response<RB>, E>) -> bool {
    answer.as_ref().map_or(true, unavailable)
}

/// Whether the headers say UNAVAILABLE.
pub(super) fn unavailable<RB>(response: &http::Response<RB>) -> bool {
    let status = response.headers().get("grpc-status");
    status.is_some_and(|status| status == "14")
}
