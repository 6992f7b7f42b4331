//! Calls that the caller ends, once by tonic's handle and once by letting go. The first ends with CANCELLED, the second has nobody to
//! end for; the server sees a reset both times.

use futures_util::{future::join, stream};
use tonic::{Code, Request};
use tower_micro_testkit::proto::interop::StreamingInputCallRequest;

use super::{
    message::{REQUESTS, RESPONSES, assert_zeros, beginning_with, next, output},
    scene::{Scene, Wire},
};

pub(super) async fn cancel_after_begin<T: Wire>(scene: &Scene<T>) {
    let mut request = Request::new(stream::pending::<StreamingInputCallRequest>());
    let cancellation = request.cancellation_handle();
    let mut client = scene.client();
    let cancelled = async {
        scene.seen(|seen| seen.calls == 1).await;
        cancellation.cancel();
    };
    let (ended, ()) = join(client.streaming_input_call(request), cancelled).await;
    let status = ended.unwrap_err();
    assert_eq!(status.code(), Code::Cancelled, "{status:?}");
    scene.seen(|seen| seen.reset == 1).await;

    tokio::select! {
        answer = client.streaming_input_call(stream::pending()) => panic!("{answer:?}"),
        () = scene.seen(|seen| seen.calls == 2) => {}
    }
    scene.seen(|seen| seen.reset == 2).await;
    scene.assert_seen(2, 2);
}

pub(super) async fn cancel_after_first_response<T: Wire>(scene: &Scene<T>) {
    let first = output(REQUESTS[0], [RESPONSES[0]]);
    let (_open, requests) = beginning_with(first);
    let mut request = Request::new(requests);
    let cancellation = request.cancellation_handle();
    let answers = scene.client().full_duplex_call(request).await;
    let mut answers = answers.unwrap().into_inner();
    assert_zeros(next(&mut answers).await, RESPONSES[0]);
    cancellation.cancel();
    let status = answers.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Cancelled, "{status:?}");
    scene.seen(|seen| seen.reset == 1).await;

    scene.assert_seen(1, 1);
}

pub(super) async fn letting_go_after_first_response<T: Wire>(scene: &Scene<T>) {
    let first = output(REQUESTS[0], [RESPONSES[0]]);
    let (_open, requests) = beginning_with(first);
    let answers = scene.client().full_duplex_call(requests).await;
    let mut answers = answers.unwrap().into_inner();
    assert_zeros(next(&mut answers).await, RESPONSES[0]);
    drop(answers);
    scene.seen(|seen| seen.reset == 1).await;
    scene.assert_seen(1, 1);
}
