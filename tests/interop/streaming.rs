//! Streams that end well.

use futures_util::stream;

use super::{
    message::{REQUESTS, RESPONSES, assert_zeros, beginning_with, input, next, output},
    scene::{Scene, Wire},
};

pub(super) async fn client_streaming<T: Wire>(scene: &Scene<T>) {
    let requests = stream::iter(REQUESTS.map(input));
    let answer = scene.client().streaming_input_call(requests).await.unwrap();
    assert_eq!(answer.into_inner().aggregated_payload_size, 74_922);
    scene.assert_seen(1, 0);
}

pub(super) async fn server_streaming<T: Wire>(scene: &Scene<T>) {
    let answers = scene
        .client()
        .streaming_output_call(output(0, RESPONSES))
        .await;
    let mut answers = answers.unwrap().into_inner();
    for size in RESPONSES {
        assert_zeros(next(&mut answers).await, size);
    }
    assert_eq!(answers.message().await.unwrap(), None);
    scene.assert_seen(1, 0);
}

pub(super) async fn ping_pong<T: Wire>(scene: &Scene<T>) {
    let mut pings = REQUESTS
        .iter()
        .zip(RESPONSES)
        .map(|(size, answer)| output(*size, [answer]));
    let (sender, requests) = beginning_with(pings.next().unwrap());
    let answers = scene.client().full_duplex_call(requests).await;
    let mut answers = answers.unwrap().into_inner();
    for size in RESPONSES {
        assert_zeros(next(&mut answers).await, size);
        if let Some(ping) = pings.next() {
            sender.send(ping).unwrap();
        }
    }
    drop(sender);
    assert_eq!(answers.message().await.unwrap(), None);
    scene.assert_seen(1, 0);
}

pub(super) async fn empty_stream<T: Wire>(scene: &Scene<T>) {
    let answers = scene.client().full_duplex_call(stream::empty()).await;
    assert_eq!(answers.unwrap().into_inner().message().await.unwrap(), None);
    scene.assert_seen(1, 0);
}
