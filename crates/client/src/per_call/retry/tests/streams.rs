//! Requests that are streams.

use futures_util::{StreamExt, stream};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tower_micro_call::{Replay, ReplayMemory};

use super::*;

/// A stream of two frames that does not end.
pub(super) fn talk() -> Body {
    let frame = |bytes| Ok::<_, Status>(Frame::data(Bytes::from_static(bytes)));
    let frames = stream::iter([frame(b"one"), frame(b"two")]).chain(stream::pending());
    tonic::body::Body::new(StreamBody::new(frames)).capture()
}

async fn first_frame(request: Request<Body>) -> Bytes {
    let frame = request.into_body().frame().await;
    frame.unwrap().unwrap().into_data().unwrap()
}

#[tokio::test]
async fn a_stream_begins_at_its_first_frame_on_every_attempt() {
    let node = |_, request| async {
        assert_eq!(first_frame(request).await, "one");
        Err(down())
    };
    let (answer, attempts) = call(quick(), talk(), node).await;
    assert!(answer.is_err());
    assert_eq!(attempts, 3);
}

#[tokio::test]
async fn a_stream_of_which_more_was_read_than_is_kept_is_sent_once_and_does_not_fail_for_it() {
    let node = |_, request| async {
        first_frame(request).await;
        Err(down())
    };
    for limit in [0, 2] {
        let options = quick().replay_limit(limit);
        let (answer, attempts) = call(options, talk(), node).await;
        assert_eq!(answer.unwrap_err().kind(), Kind::Connect);
        assert_eq!(attempts, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_which_nothing_is_kept_is_sent_again_until_a_node_reads_it() {
    let waiting = CallOptions::new().wait_for_ready(true);
    for options in [quick(), waiting] {
        let node = |sent, request| async move {
            match sent {
                0..2 => Err(down()),
                _ => {
                    assert_eq!(first_frame(request).await, "one");
                    good()
                }
            }
        };
        let (answer, sent) = call(options.replay_limit(0), talk(), node).await;
        assert!(answer.is_ok(), "{answer:?}");
        assert_eq!(sent, 3);
    }
}

#[tokio::test]
async fn a_wrapper_that_does_a_stream_twice_has_all_of_it_both_times() {
    let node = |_, request| async {
        assert_eq!(first_frame(request).await, "one");
        Err(down())
    };
    let first = talk().replayable(1024, &Arc::new(ReplayMemory::default()));
    let second = first.replay().unwrap();
    for body in [first, second] {
        let (answer, attempts) = call(quick(), body, node).await;
        assert_eq!((answer.unwrap_err().kind(), attempts), (Kind::Connect, 3));
    }
}
