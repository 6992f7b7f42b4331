//! One message for one message.

use tonic::{Code, codec::CompressionEncoding::Gzip};
use tower_micro_testkit::proto::interop::{BoolValue, Empty, SimpleRequest};

use super::{
    frame::flag_of_answer,
    message::{LARGE_RESPONSE, assert_zeros, large},
    scene::{Scene, Wire},
};

pub(super) async fn empty_unary<T: Wire>(scene: &Scene<T>) {
    let answer = scene.client().empty_call(Empty {}).await.unwrap();
    assert_eq!(answer.into_inner(), Empty {});
    scene.assert_seen(1, 0);
}

pub(super) async fn large_unary<T: Wire>(scene: &Scene<T>) {
    let answer = scene.client().unary_call(large()).await.unwrap();
    assert_zeros(answer.into_inner().payload, LARGE_RESPONSE);
    scene.assert_seen(1, 0);
}

pub(super) async fn client_compressed_unary<T: Wire>(scene: &Scene<T>) {
    let expecting = |value| SimpleRequest {
        expect_compressed: Some(BoolValue { value }),
        ..large()
    };
    let mut plain = scene.client();
    let mut compressing = scene.client().send_compressed(Gzip);

    let probe = plain.unary_call(expecting(true)).await.unwrap_err();
    assert_eq!(probe.code(), Code::InvalidArgument, "{probe:?}");
    let compressed = compressing.unary_call(expecting(true)).await.unwrap();
    assert_zeros(compressed.into_inner().payload, LARGE_RESPONSE);
    let uncompressed = plain.unary_call(expecting(false)).await.unwrap();
    assert_zeros(uncompressed.into_inner().payload, LARGE_RESPONSE);
    scene.assert_seen(3, 0);
}

pub(super) async fn server_compressed_unary<T: Wire>(scene: &Scene<T>) {
    let mut client = scene.client().accept_compressed(Gzip);
    for compressed in [true, false] {
        let request = SimpleRequest {
            response_compressed: Some(BoolValue { value: compressed }),
            ..large()
        };
        let flag = flag_of_answer(scene.wire.clone(), &request).await;
        assert_eq!(flag, compressed, "the flag of the message");
        let answer = client.unary_call(request).await.unwrap();
        assert_zeros(answer.into_inner().payload, LARGE_RESPONSE);
    }
    scene.assert_seen(4, 0);
}
