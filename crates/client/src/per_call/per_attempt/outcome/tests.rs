use std::{future::ready, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use tonic::{Code, Status};
use tower::{Layer, ServiceExt, service_fn};
use tower_micro_call::{CallOptions, Disposition, Error, Kind, Notes, ResponseBody};

use super::*;

async fn outcome(response: Response<tonic::body::Body>) -> Result<Response<ResponseBody>, Error> {
    judged(response, CallOptions::new()).await
}

async fn judged(
    response: Response<tonic::body::Body>,
    options: CallOptions,
) -> Result<Response<ResponseBody>, Error> {
    let mut response = Some(response);
    let node = service_fn(move |_: Request<()>| ready(Ok::<_, Error>(response.take().unwrap())));
    let mut request = Request::new(());
    Notes::of_mut(&mut request).set_options(Arc::new(options), None);
    OutcomeLayer::new().layer(node).oneshot(request).await
}

fn answer(headers: &[(&'static str, &'static [u8])]) -> Response<tonic::body::Body> {
    let mut response = Response::new(tonic::body::Body::empty());
    for (name, value) in headers {
        response
            .headers_mut()
            .append(*name, http::HeaderValue::from_bytes(value).unwrap());
    }
    response
}

#[tokio::test]
async fn a_status_in_the_headers_is_an_error_with_all_it_carries() {
    let error = outcome(answer(&[
        ("grpc-status", b"5"),
        ("grpc-message", b"no%20such user"),
        ("grpc-status-details-bin", b"AQID"),
        ("x-trace", b"7"),
    ]))
    .await
    .unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    assert_eq!(error.disposition(), Disposition::Processed);
    assert_eq!(error.status().message(), "no such user");
    assert_eq!(error.status().details(), [1, 2, 3]);
    assert_eq!(error.status().metadata().get("x-trace").unwrap(), "7");
}

#[tokio::test]
async fn details_that_are_not_base64_are_dropped_and_the_rest_stands() {
    let garbage: &[&'static [u8]] = &[b"!!!", b"A", b"====", b"\xff\xfe"];
    for garbage in garbage {
        let error = outcome(answer(&[
            ("grpc-status", b"13"),
            ("grpc-message", b"broken"),
            ("grpc-status-details-bin", garbage),
        ]))
        .await
        .unwrap_err();
        assert_eq!(error.code(), Code::Internal);
        assert!(error.status().details().is_empty());
    }
}

#[tokio::test]
async fn details_that_are_not_base64_do_not_stay_on_a_response_that_goes_on() {
    for status in [Some(b"0".as_slice()), None] {
        let mut headers: Vec<(&str, &[u8])> = vec![("grpc-status-details-bin", b"!")];
        headers.extend(status.map(|status| ("grpc-status", status)));
        let response = outcome(goes_on(answer(&headers))).await.unwrap();
        assert!(!response.headers().contains_key("grpc-status-details-bin"));
    }
}

#[tokio::test]
async fn a_status_that_is_no_number_is_unknown_and_the_message_shows_it() {
    let error = outcome(answer(&[("grpc-status", b"x")])).await.unwrap_err();
    assert_eq!(error.code(), Code::Unknown);
    assert!(error.status().message().contains("\"x\""));
}

#[tokio::test]
async fn a_code_nobody_assigned_is_unknown() {
    let error = outcome(answer(&[("grpc-status", b"99"), ("grpc-message", b"new")]))
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.status().message()),
        (Code::Unknown, "new")
    );
}

#[tokio::test]
async fn a_proxy_that_answers_without_grpc_is_told_by_its_http_status() {
    for (http, code) in [
        (503, Code::Unavailable),
        (404, Code::Unimplemented),
        (418, Code::Unknown),
    ] {
        let mut response = answer(&[]);
        *response.status_mut() = http.try_into().unwrap();
        let error = outcome(response).await.unwrap_err();
        assert_eq!(error.code(), code);
        assert!(error.status().message().contains(&http.to_string()));
    }
}

#[tokio::test]
async fn a_message_that_is_not_utf8_is_shown_as_far_as_it_is() {
    let error = outcome(answer(&[("grpc-status", b"2"), ("grpc-message", b"a%ffb")]))
        .await
        .unwrap_err();
    assert_eq!(error.status().message(), "a\u{fffd}b");
}

#[tokio::test]
async fn a_response_without_a_status_goes_on() {
    let headers = answer(&[("content-type", b"application/grpc")]);
    assert!(outcome(goes_on(headers)).await.is_ok());
}

#[tokio::test]
async fn a_failure_in_trailers_that_came_with_the_headers_is_an_error() {
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", "8".parse().unwrap());
    let frames = vec![Ok(Frame::trailers(trailers))];
    let error = outcome(answer(&[]).map(|_| body_of(frames)))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn an_answer_of_headers_alone_without_a_status_is_a_failure() {
    let error = outcome(answer(&[])).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (Kind::Transport, Code::Unknown)
    );
}

#[tokio::test]
async fn a_unary_method_is_judged_by_its_trailers_though_a_message_came() {
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", "14".parse().unwrap());
    let frames = || {
        vec![
            Ok(Frame::data(Bytes::from_static(b"message"))),
            Ok(Frame::trailers(trailers.clone())),
        ]
    };
    let unknown = answer(&[]).map(|_| body_of(frames()));
    assert!(outcome(unknown).await.is_ok());
    let unary = CallOptions::new().streaming(false);
    let error = judged(answer(&[]).map(|_| body_of(frames())), unary)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
}

fn body_of(frames: Vec<Result<Frame<Bytes>, Status>>) -> tonic::body::Body {
    tonic::body::Body::new(StreamBody::new(futures_util::stream::iter(frames)))
}

/// A response whose body has not come yet.
fn goes_on(response: Response<tonic::body::Body>) -> Response<tonic::body::Body> {
    let never = futures_util::stream::pending::<Result<Frame<Bytes>, Status>>();
    response.map(|_| tonic::body::Body::new(StreamBody::new(never)))
}
