//! A unary call without a generated client, which would not say how the answer was sent.

use std::future::poll_fn;

use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt, Full};
use tonic::{body::Body, codegen::StdError};
use tower_micro_testkit::proto::interop::SimpleRequest;

use super::scene::Wire;
use crate::support::framed;

/// Whether the answer has its compressed flag set.
pub(super) async fn flag_of_answer<T: Wire>(mut wire: T, request: &SimpleRequest) -> bool {
    let text = |error: StdError| error.to_string();
    poll_fn(|cx| wire.poll_ready(cx))
        .await
        .map_err(|error| text(error.into()))
        .unwrap();
    let answer = wire.call(asking_for_gzip(request)).await;
    let answer = answer.map_err(|error| text(error.into())).unwrap();
    let encoding = answer.headers().get("grpc-encoding").cloned();
    let body = answer.into_body().collect().await;
    let message = body.map_err(|error| text(error.into())).unwrap().to_bytes();
    let flag = message[0] == 1;
    assert!(
        !flag || encoding == Some(HeaderValue::from_static("gzip")),
        "{encoding:?}"
    );
    flag
}

fn asking_for_gzip(message: &SimpleRequest) -> Request<Body> {
    Request::post("http://interop/grpc.testing.TestService/UnaryCall")
        .header(header::TE, "trailers")
        .header(header::CONTENT_TYPE, "application/grpc")
        .header("grpc-accept-encoding", "gzip,identity")
        .body(Body::new(Full::new(framed(message))))
        .unwrap()
}
