//! Metadata there and back.

use futures_util::stream;
use tonic::{
    Request,
    metadata::{MetadataMap, MetadataValue},
};

use super::{
    message::{LARGE_REQUEST, LARGE_RESPONSE, assert_zeros, large, next, output},
    scene::{Scene, Wire},
};

const INITIAL: &str = "x-grpc-test-echo-initial";
const VALUE: &str = "test_initial_metadata_value";
const TRAILING: &str = "x-grpc-test-echo-trailing-bin";
const BYTES: &[u8] = b"\xab\xab\xab";

fn with_metadata<M>(message: M) -> Request<M> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert(INITIAL, MetadataValue::from_static(VALUE));
    metadata.insert_bin(TRAILING, MetadataValue::from_bytes(BYTES));
    request
}

#[track_caller]
fn assert_initial(metadata: &MetadataMap) {
    let values: Vec<_> = metadata.get_all(INITIAL).iter().collect();
    assert_eq!(values, [VALUE]);
}

#[track_caller]
fn assert_trailing(metadata: &MetadataMap) {
    let values = metadata.get_all_bin(TRAILING);
    let values: Vec<_> = values
        .iter()
        .map(|value| value.to_bytes().unwrap())
        .collect();
    assert_eq!(values, [BYTES]);
}

pub(super) async fn custom_metadata<T: Wire>(scene: &Scene<T>) {
    let answer = scene
        .client()
        .unary_call(with_metadata(large()))
        .await
        .unwrap();
    // tonic joins what came before the message with what came after it.
    assert_initial(answer.metadata());
    assert_trailing(answer.metadata());
    assert_zeros(answer.into_inner().payload, LARGE_RESPONSE);

    let requests = stream::iter([output(LARGE_REQUEST, [LARGE_RESPONSE])]);
    let answers = scene
        .client()
        .full_duplex_call(with_metadata(requests))
        .await
        .unwrap();
    assert_initial(answers.metadata());
    assert!(
        !answers.metadata().contains_key(TRAILING),
        "trailing metadata came first"
    );
    let mut answers = answers.into_inner();
    assert_zeros(next(&mut answers).await, LARGE_RESPONSE);
    assert_eq!(answers.message().await.unwrap(), None);
    assert_trailing(&answers.trailers().await.unwrap().expect("no trailers"));
    scene.assert_seen(2, 0);
}
