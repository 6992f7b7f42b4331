//! Calls that end with a status which is not OK.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tonic::{Code, Request, Status};
use tower_micro_testkit::proto::interop::{
    Empty, SimpleRequest, StreamingOutputCallRequest,
    unimplemented_service_client::UnimplementedServiceClient,
};

use super::{
    message::{assert_zeros, next, output, status},
    scene::{Scene, Wire},
};

const UNKNOWN: i32 = 2;

async fn end_of_unary<T: Wire>(scene: &Scene<T>, request: SimpleRequest) -> Status {
    scene.client().unary_call(request).await.unwrap_err()
}

/// A stream may fail where it is opened or where it is read.
async fn end_of_stream<T: Wire>(
    scene: &Scene<T>,
    requests: impl tonic::IntoStreamingRequest<Message = StreamingOutputCallRequest>,
) -> Status {
    match scene.client().full_duplex_call(requests).await {
        Ok(answers) => answers.into_inner().message().await.unwrap_err(),
        Err(status) => status,
    }
}

#[track_caller]
fn assert_ended_with(status: &Status, message: &str) {
    assert_eq!((status.code(), status.message()), (Code::Unknown, message));
}

fn failing(message: &str) -> StreamingOutputCallRequest {
    StreamingOutputCallRequest {
        response_status: status(UNKNOWN, message),
        ..Default::default()
    }
}

pub(super) async fn status_code_and_message<T: Wire>(scene: &Scene<T>) {
    const MESSAGE: &str = "test status message";
    let request = SimpleRequest {
        response_status: status(UNKNOWN, MESSAGE),
        ..Default::default()
    };
    assert_ended_with(&end_of_unary(scene, request).await, MESSAGE);
    let requests = stream::iter([failing(MESSAGE)]);
    assert_ended_with(&end_of_stream(scene, requests).await, MESSAGE);
    // Beyond what gRPC asks: the same after an answer, where it travels in trailers of its own.
    let requests = stream::iter([output(0, [9]), failing(MESSAGE)]);
    let answers = scene.client().full_duplex_call(requests).await;
    let mut answers = answers.unwrap().into_inner();
    assert_zeros(next(&mut answers).await, 9);
    assert_ended_with(&answers.message().await.unwrap_err(), MESSAGE);
    scene.assert_seen(3, 0);
}

pub(super) async fn special_status_message<T: Wire>(scene: &Scene<T>) {
    const MESSAGE: &str = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";
    let request = SimpleRequest {
        response_status: status(UNKNOWN, MESSAGE),
        ..Default::default()
    };
    assert_ended_with(&end_of_unary(scene, request).await, MESSAGE);
    scene.assert_seen(1, 0);
}

pub(super) async fn unimplemented_method<T: Wire>(scene: &Scene<T>) {
    let status = scene
        .client()
        .unimplemented_call(Empty {})
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented, "{status:?}");
    scene.assert_seen(1, 0);
}

pub(super) async fn unimplemented_service<T: Wire>(scene: &Scene<T>) {
    let mut client = UnimplementedServiceClient::new(scene.wire.clone());
    let status = client.unimplemented_call(Empty {}).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented, "{status:?}");
    scene.assert_seen(1, 0);
}

pub(super) async fn timeout_on_sleeping_server<T: Wire>(scene: &Scene<T>) {
    let requests = stream::iter([output(27_182, [])]).chain(stream::pending());
    let mut request = Request::new(requests);
    request.set_timeout(Duration::from_millis(1));
    let status = end_of_stream(scene, request).await;
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
}
