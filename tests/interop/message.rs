//! What the cases send, and the numbers that gRPC gives them.

use futures_util::stream::{self, Stream};
use tokio::sync::mpsc;
use tower_micro_testkit::proto::interop::{
    EchoStatus, Payload, ResponseParameters, SimpleRequest, StreamingInputCallRequest,
    StreamingOutputCallRequest, StreamingOutputCallResponse,
};

pub(super) const LARGE_REQUEST: usize = 271_828;
pub(super) const LARGE_RESPONSE: i32 = 314_159;
pub(super) const REQUESTS: [usize; 4] = [27_182, 8, 1_828, 45_904];
pub(super) const RESPONSES: [i32; 4] = [31_415, 9, 2_653, 58_979];

pub(super) fn zeros(size: usize) -> Option<Payload> {
    let body = vec![0; size];
    Some(Payload {
        body,
        ..Payload::default()
    })
}

/// Whether `payload` is as many zeros as were asked for.
#[track_caller]
pub(super) fn assert_zeros(payload: Option<Payload>, size: i32) {
    let body = payload.expect("an answer without payload").body;
    assert_eq!(i32::try_from(body.len()), Ok(size), "bytes in the payload");
    assert!(body.iter().all(|byte| *byte == 0), "not all of them zero");
}

pub(super) fn large() -> SimpleRequest {
    SimpleRequest {
        response_size: LARGE_RESPONSE,
        payload: zeros(LARGE_REQUEST),
        ..SimpleRequest::default()
    }
}

pub(super) fn status(code: i32, message: &str) -> Option<EchoStatus> {
    let message = message.to_owned();
    Some(EchoStatus { code, message })
}

pub(super) fn input(size: usize) -> StreamingInputCallRequest {
    let payload = zeros(size);
    StreamingInputCallRequest {
        payload,
        ..Default::default()
    }
}

/// A message of `size` that asks for answers of these sizes.
pub(super) fn output<const N: usize>(size: usize, answers: [i32; N]) -> StreamingOutputCallRequest {
    let answer = |size| ResponseParameters {
        size,
        ..Default::default()
    };
    StreamingOutputCallRequest {
        response_parameters: answers.map(answer).into(),
        payload: zeros(size),
        ..Default::default()
    }
}

/// The next answer, which is there.
pub(super) async fn next(
    answers: &mut tonic::Streaming<StreamingOutputCallResponse>,
) -> Option<Payload> {
    let answer = answers.message().await.unwrap();
    answer.expect("fewer answers than were asked for").payload
}

/// A stream of requests, one of which is there, that goes on until the sender is dropped.
pub(super) fn beginning_with<M: Send + 'static>(
    first: M,
) -> (
    mpsc::UnboundedSender<M>,
    impl Stream<Item = M> + Send + 'static,
) {
    let (sender, receiver) = mpsc::unbounded_channel();
    sender.send(first).expect("the receiver is here");
    let requests = stream::unfold(receiver, |mut receiver| async {
        let next = receiver.recv().await?;
        Some((next, receiver))
    });
    (sender, requests)
}
