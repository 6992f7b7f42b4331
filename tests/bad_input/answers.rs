//! Headers, trailers and bodies that no gRPC server should send.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use tonic::{Code, Status};
use tower_micro::{CallOptions, ResponseBody};

use super::says;
use crate::support::{Recording, call, scripted, trailing};

/// Trailers-Only, as a node may send it.
fn headers<const N: usize>(headers: [(&'static str, &'static [u8]); N]) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(tonic::body::Body::empty()));
    for (name, value) in headers {
        let value = HeaderValue::from_bytes(value).unwrap();
        response.headers_mut().append(name, value);
    }
    response
}

/// What a caller gets for what a node answers.
async fn got(answer: impl Fn() -> Response<ResponseBody> + Send + Sync + 'static) -> Status {
    let client = scripted(&Recording::of(1), move |_| std::future::ready(Ok(answer())));
    let client = client.options(CallOptions::new().retries(0));
    call(&client.build().unwrap()).await.unwrap_err()
}

#[tokio::test]
async fn a_status_that_is_none_is_unknown() {
    let bad = [
        b"x".as_slice(),
        b"",
        b"-",
        b"0x1",
        b"99999999999999999999",
        b"\xff\xfe",
    ];
    for code in bad {
        let status = got(move || headers([("grpc-status", code)])).await;
        says(&status, Code::Unknown, &["no code of gRPC"]);
    }
    let status = got(|| headers([("grpc-status", b"99"), ("grpc-message", b"new")])).await;
    says(&status, Code::Unknown, &["new"]);
}

#[tokio::test]
async fn details_that_cannot_be_decoded_are_left_out_and_the_status_stays() {
    for details in [
        b"%%%".as_slice(),
        b"A",
        b"\xff\xff\xff",
        b"====",
        b"AAAA BBBB",
    ] {
        let answer = move || {
            headers([
                ("grpc-status", b"5"),
                ("grpc-message", b"no%20Ada"),
                ("grpc-status-details-bin", details),
            ])
        };
        let status = got(answer).await;
        says(&status, Code::NotFound, &["no Ada"]);
        assert_eq!(status.details(), b"");
    }
}

#[tokio::test]
async fn details_that_decode_but_are_no_go_micro_error_are_handed_on() {
    let answer = || {
        headers([
            ("grpc-status", b"5"),
            ("grpc-status-details-bin", b"/////w=="),
        ])
    };
    assert_eq!(got(answer).await.details(), b"\xff\xff\xff\xff");
}

#[tokio::test]
async fn a_message_that_is_no_text_is_shown_as_far_as_it_is() {
    for message in [b"%ff%fe".as_slice(), b"%", b"%zz", b"\xe9t\xe9"] {
        let answer = move || headers([("grpc-status", b"13"), ("grpc-message", message)]);
        says(&got(answer).await, Code::Internal, &[]);
    }
}

#[tokio::test]
async fn an_answer_that_is_no_grpc_is_told_by_its_http_status() {
    let codes = [
        (503, Code::Unavailable),
        (502, Code::Unavailable),
        (404, Code::Unimplemented),
        (401, Code::Unauthenticated),
        (400, Code::Internal),
        (418, Code::Unknown),
        (301, Code::Unknown),
    ];
    for (http, code) in codes {
        let answer = move || {
            let mut response = headers([("content-type", b"text/html")]);
            *response.status_mut() = StatusCode::from_u16(http).unwrap();
            response
        };
        says(&got(answer).await, code, &["is it a gRPC server?"]);
    }
}

#[tokio::test]
async fn trailers_are_read_as_carefully_as_headers() {
    let spoilt = || {
        trailing([
            ("grpc-status", "5"),
            ("grpc-message", "no%20Ada"),
            ("grpc-status-details-bin", "%%%"),
        ])
    };
    says(&got(spoilt).await, Code::NotFound, &["no Ada"]);
    says(
        &got(|| trailing([("grpc-status", "x")])).await,
        Code::Unknown,
        &[],
    );
    let without = got(|| trailing([("x-other", "1")])).await;
    says(&without, Code::Unknown, &["ended without a grpc-status"]);
}

#[tokio::test]
async fn an_answer_without_a_message_or_with_half_of_one_is_a_failure() {
    says(
        &got(|| trailing([("grpc-status", "0")])).await,
        Code::Internal,
        &[],
    );
    let half = || {
        let body = http_body_util::Full::new(Bytes::from_static(b"\0\0\0\0\x09Hel"));
        Response::new(ResponseBody::new(body))
    };
    assert_ne!(got(half).await.code(), Code::Ok);
    let not_grpc = || {
        let body = http_body_util::Full::new(Bytes::from_static(b"<html>"));
        Response::new(ResponseBody::new(body))
    };
    assert_ne!(got(not_grpc).await.code(), Code::Ok);
    assert_ne!(got(|| headers([])).await.code(), Code::Ok);
}
