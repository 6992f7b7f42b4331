use std::{sync::Arc, task::Waker};

use futures_util::StreamExt;
use http_body_util::{BodyExt, StreamBody};
use proptest::prelude::*;

use super::{capture::AHEAD, *};

fn frames(frames: Vec<Result<Frame<Bytes>, Status>>, ends: bool) -> tonic::body::Body {
    let some = futures_util::stream::iter(frames);
    if ends {
        tonic::body::Body::new(StreamBody::new(some))
    } else {
        let never = futures_util::stream::pending();
        tonic::body::Body::new(StreamBody::new(some.chain(never)))
    }
}

fn data(bytes: &'static [u8]) -> Result<Frame<Bytes>, Status> {
    Ok(Frame::data(Bytes::from_static(bytes)))
}

#[tokio::test]
async fn a_message_that_is_there_becomes_one_frame() {
    let body = frames(vec![data(b"he"), data(b"ll"), data(b"o")], true).capture();
    let again = body.replay().unwrap();
    assert_eq!(body.collect().await.unwrap().to_bytes(), "hello");
    assert_eq!(again.collect().await.unwrap().to_bytes(), "hello");
}

#[tokio::test]
async fn a_large_message_in_one_frame_is_kept_whole() {
    let large = vec![7u8; 4 * AHEAD];
    let body = frames(vec![Ok(Frame::data(large.clone().into()))], true).capture();
    assert!(body.is_complete());
    assert_eq!(body.collect().await.unwrap().to_bytes(), large);
}

#[tokio::test]
async fn a_body_that_has_to_wait_keeps_its_frames_in_order() {
    let mut body = frames(vec![data(b"a"), data(b"b")], false).capture();
    assert!(body.replay().is_none());
    for expected in ["a", "b"] {
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), expected);
    }
    assert!(!body.is_end_stream());
}

#[tokio::test]
async fn a_long_stream_is_not_read_to_its_end_in_advance() {
    let many = (0..64).map(|_| Ok(Frame::data(vec![1u8; 8 * 1024].into())));
    let body = frames(many.collect(), true).capture();
    assert!(!body.is_complete());
    assert_eq!(
        body.collect().await.unwrap().to_bytes().len(),
        64 * 8 * 1024
    );
}

// Nothing bounds them: they take no memory and no room of the peer's.
#[tokio::test]
async fn frames_without_bytes_are_passed_over_and_never_without_end() {
    let nothing = || Ok::<_, Status>(Frame::data(Bytes::new()));
    let endless = StreamBody::new(futures_util::stream::repeat_with(nothing));
    let body = tonic::body::Body::new(endless).capture();
    let mut body = tokio_test::task::spawn(body);
    for _ in 0..3 {
        assert!(body.enter(|cx, body| body.poll_frame(cx)).is_pending());
        assert!(body.is_woken(), "others had their turn");
    }
    let mut some = (0..200).map(|_| nothing()).collect::<Vec<_>>();
    some.push(data(b"a"));
    let body = frames(some, false)
        .capture()
        .replayable(64, &Arc::default());
    let mut body = tonic::body::Body::restore(body);
    let first = body.frame().await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "a");
}

#[tokio::test]
async fn a_failing_body_fails_the_attempt_that_reads_it() {
    let body = frames(vec![data(b"a"), Err(Status::cancelled("gone"))], true).capture();
    assert!(body.replay().is_none());
    let error = tonic::body::Body::restore(body)
        .collect()
        .await
        .unwrap_err();
    assert_eq!(error.code(), tonic::Code::Cancelled);
}

#[test]
fn the_end_is_known_as_soon_as_the_only_frame_is_taken() {
    let mut body = Body::from(Bytes::from_static(b"x"));
    assert!(!body.is_end_stream());
    assert!(body.size_hint().exact().is_none());
    let frame = Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop()));
    assert!(frame.is_ready());
    assert!(body.is_end_stream());
}

fn kept(memory: usize, limit: usize, body: tonic::body::Body) -> (Body, Arc<ReplayMemory>) {
    let memory = Arc::new(ReplayMemory::new(memory));
    (body.capture().replayable(limit, &memory), memory)
}

/// Frames that come one at a time, as a client stream's do.
fn slow(frames: Vec<Result<Frame<Bytes>, Status>>) -> tonic::body::Body {
    let mut waits = false;
    let mut frames = frames.into_iter();
    let stream = futures_util::stream::poll_fn(move |cx: &mut Context<'_>| {
        waits = !waits;
        if waits {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(frames.next())
    });
    tonic::body::Body::new(StreamBody::new(stream))
}

#[tokio::test]
async fn a_stream_within_its_bounds_can_begin_again_in_the_middle() {
    let (mut body, memory) = kept(1024, 1024, slow(vec![data(b"a"), data(b"b"), data(b"c")]));
    let again = body.replay().unwrap();
    let first = body.frame().await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "a");
    drop(body);
    let once_more = again.replay().unwrap();
    assert_eq!(again.collect().await.unwrap().to_bytes(), "abc");
    assert_eq!(once_more.collect().await.unwrap().to_bytes(), "abc");
    assert_eq!(memory.used(), 0);
}

#[tokio::test]
async fn past_its_bound_a_stream_goes_on_and_cannot_begin_again() {
    let (mut body, memory) = kept(1024, 2, slow(vec![data(b"ab"), data(b"c"), data(b"d")]));
    let again = body.replay().unwrap();
    body.frame().await.unwrap().unwrap();
    assert_eq!(memory.used(), 2);
    body.frame().await.unwrap().unwrap();
    assert_eq!(memory.used(), 0);
    assert!(again.replay().is_none());
    assert_eq!(body.collect().await.unwrap().to_bytes(), "d");
    assert_eq!(
        again.collect().await.unwrap_err().code(),
        tonic::Code::Aborted
    );
}

#[tokio::test]
async fn a_stream_nobody_may_begin_again_keeps_nothing() {
    let (body, memory) = kept(1024, 1024, slow(vec![data(b"ab"), data(b"c")]));
    assert_eq!(body.collect().await.unwrap().to_bytes(), "abc");
    assert_eq!(memory.used(), 0);
}

#[tokio::test]
async fn all_streams_together_keep_no_more_than_their_memory() {
    let memory = Arc::new(ReplayMemory::new(10));
    let mut streams = Vec::new();
    for _ in 0..100 {
        let mut body = slow(vec![data(b"abc"), data(b"d")])
            .capture()
            .replayable(1024, &memory);
        let again = body.replay();
        body.frame().await.unwrap().unwrap();
        assert!(memory.used() <= 10);
        streams.push((body, again));
    }
    assert_eq!(memory.used(), 9);
    for (body, again) in streams {
        assert_eq!(body.collect().await.unwrap().to_bytes(), "d");
        drop(again);
    }
    assert_eq!(memory.used(), 0);
}

#[tokio::test]
async fn two_attempts_may_read_at_once_and_both_are_woken() {
    let (send, mut receive) = tokio::sync::mpsc::channel::<Bytes>(1);
    let stream = futures_util::stream::poll_fn(move |cx| {
        receive
            .poll_recv(cx)
            .map(|bytes| bytes.map(|bytes| Ok::<_, Status>(Frame::data(bytes))))
    });
    let (one, _memory) = kept(1024, 1024, tonic::body::Body::new(StreamBody::new(stream)));
    let other = one.replay().unwrap();
    let one = tokio::spawn(one.collect());
    let other = tokio::spawn(other.collect());
    for bytes in ["a", "b"] {
        send.send(Bytes::from_static(bytes.as_bytes()))
            .await
            .unwrap();
        tokio::task::yield_now().await;
    }
    drop(send);
    assert_eq!(one.await.unwrap().unwrap().to_bytes(), "ab");
    assert_eq!(other.await.unwrap().unwrap().to_bytes(), "ab");
}

#[tokio::test]
async fn what_was_kept_is_given_back_when_nobody_can_ask_for_it_any_more() {
    let (mut body, memory) = kept(1024, 1024, slow(vec![data(b"ab"), data(b"c")]));
    let again = body.replay().unwrap();
    body.frame().await.unwrap().unwrap();
    assert_eq!(memory.used(), 2);
    drop(again);
    assert_eq!(memory.used(), 0, "though nothing more was read");
    assert_eq!(body.collect().await.unwrap().to_bytes(), "c");
}

#[tokio::test]
async fn the_last_reader_still_gets_what_it_has_not_read() {
    let (mut body, memory) = kept(1024, 1024, slow(vec![data(b"ab"), data(b"c"), data(b"d")]));
    let mut again = body.replay().unwrap();
    for _ in 0..2 {
        body.frame().await.unwrap().unwrap();
    }
    drop(body);
    assert_eq!(memory.used(), 3);
    again.frame().await.unwrap().unwrap();
    assert_eq!(memory.used(), 3);
    again.frame().await.unwrap().unwrap();
    assert_eq!(memory.used(), 0);
    assert_eq!(again.collect().await.unwrap().to_bytes(), "d");
}

#[tokio::test]
async fn an_attempt_that_takes_the_place_of_another_cuts_it_off() {
    let (mut first, _memory) = kept(2, 1024, slow(vec![data(b"ab"), data(b"c")]));
    let again = first.replay().unwrap();
    first.frame().await.unwrap().unwrap();
    let second = again.into_payload().replay_anew().unwrap();
    let status = first.frame().await.unwrap().unwrap_err();
    assert_eq!(status.code(), tonic::Code::Aborted);
    assert_eq!(second.collect().await.unwrap().to_bytes(), "abc");
}

#[tokio::test]
async fn an_attempt_cuts_off_what_a_wrapper_inside_made_of_those_before_and_leaves_other_runs_alone()
 {
    let (mut first, _memory) = kept(1024, 1024, slow(vec![data(b"ab"), data(b"c")]));
    let other_run = first.replay().unwrap();
    let again = first.for_attempts().unwrap();
    let inside = first.replay().unwrap();
    let second = again.replay_anew().unwrap();
    for before in [first, inside] {
        let status = before.collect().await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Aborted);
    }
    assert_eq!(second.collect().await.unwrap().to_bytes(), "abc");
    assert_eq!(other_run.collect().await.unwrap().to_bytes(), "abc");
}

#[tokio::test]
async fn an_attempt_that_waits_hears_that_it_was_cut_off() {
    let (first, _memory) = kept(1024, 1024, frames(vec![], false));
    let again = first.replay().unwrap();
    let first = tokio::spawn(first.collect());
    tokio::task::yield_now().await;
    let _second = again.into_payload().replay_anew().unwrap();
    let status = first.await.unwrap().unwrap_err();
    assert_eq!(status.code(), tonic::Code::Aborted);
}

#[tokio::test]
async fn a_stream_that_fails_fails_every_attempt_that_reads_so_far() {
    let (body, _memory) = kept(
        64,
        64,
        slow(vec![data(b"a"), Err(Status::cancelled("gone"))]),
    );
    let again = body.replay().unwrap();
    for body in [body, again] {
        assert_eq!(
            body.collect().await.unwrap_err().code(),
            tonic::Code::Cancelled
        );
    }
}

proptest! {
    #[test]
    fn what_is_sent_again_is_the_same_to_the_byte(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4096), 0..24),
        read_before in 0usize..24,
        comes_at_once in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let sent: Vec<_> = frames.iter().cloned().map(|bytes| Ok(Frame::data(bytes.into()))).collect();
            let body = if comes_at_once { self::frames(sent, true) } else { slow(sent) };
            let (mut body, _memory) = kept(1 << 20, 1 << 20, body);
            let again = body.replay();
            for _ in 0..read_before {
                if body.frame().await.is_none() {
                    break;
                }
            }
            drop(body);
            let again = again.expect("all of it fits").collect().await.unwrap().to_bytes();
            prop_assert_eq!(again, frames.concat());
            Ok(())
        })?;
    }
}

#[test]
fn a_payload_is_no_larger_than_its_bytes_and_a_body_is_one_word() {
    assert_eq!(size_of::<Payload>(), size_of::<Bytes>());
    assert_eq!(size_of::<Body>(), size_of::<usize>());
}
