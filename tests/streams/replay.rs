//! What is sent again is the same to the byte, however much of it the first attempts have read.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use proptest::prelude::*;
use tokio::time::sleep;
use tonic::{Code, Status};
use tower_micro::{Body, CallOptions, Error, ResponseBody};
use tower_micro_testkit::Scripted;
use tower_service::Service;

use crate::support::{Answer, Bare, Recording, failing, number_of, scripted};

/// What is kept of a request stream unless its options say otherwise.
const KEPT: usize = 64 * 1024;
const MOMENT: Duration = Duration::from_millis(1);

/// How an attempt fails.
#[derive(Clone, Copy, Debug)]
enum Failure {
    /// The node says so.
    Refused,
    /// The connection breaks.
    Broken,
}

/// What the first attempts do; the one after them reads everything and succeeds.
#[derive(Clone, Debug)]
struct Nodes {
    /// How many bytes each of them reads, at the least.
    reads: Vec<usize>,
    failure: Failure,
    /// Whether the connection of an attempt that has failed goes on reading for a while.
    linger: bool,
}

fn nodes() -> impl Strategy<Value = Nodes> {
    let failure = prop_oneof![Just(Failure::Refused), Just(Failure::Broken)];
    let reads = prop::collection::vec(0..2 * KEPT, 1..=2);
    (reads, failure, any::<bool>()).prop_map(|(reads, failure, linger)| Nodes {
        reads,
        failure,
        linger,
    })
}

/// What came of a call.
#[derive(Debug, Default)]
struct Arrived {
    /// The bytes that the attempts which failed have read.
    read: Vec<usize>,
    /// What the attempt that succeeded has read.
    whole: Option<Bytes>,
}

/// Reads `most` bytes, or as many more as the last frame has.
async fn read(body: &mut Body, most: usize) -> usize {
    let mut read = 0;
    while read < most {
        let Some(frame) = body.frame().await else {
            break;
        };
        read += frame.unwrap().into_data().map_or(0, |data| data.len());
    }
    read
}

async fn linger(mut body: Body) {
    while let Some(Ok(_)) = body.frame().await {}
}

async fn attempt(request: Request<Body>, nodes: Nodes, arrived: Arc<Mutex<Arrived>>) -> Answer {
    let number = number_of(&request) as usize;
    let mut body = request.into_body();
    let Some(&most) = nodes.reads.get(number) else {
        let whole = body.collect().await.map_err(Error::from)?.to_bytes();
        arrived.lock().unwrap().whole = Some(whole);
        return Ok(Scripted::ok());
    };
    let read = read(&mut body, most).await;
    arrived.lock().unwrap().read.push(read);
    if nodes.linger {
        tokio::spawn(linger(body));
    }
    match nodes.failure {
        Failure::Refused => Ok(failing(Status::unavailable("busy"))),
        Failure::Broken => Err(Error::transport(std::io::Error::from(
            std::io::ErrorKind::ConnectionReset,
        ))),
    }
}

fn client(nodes: &Nodes, arrived: &Arc<Mutex<Arrived>>) -> Bare {
    let (nodes, arrived) = (nodes.clone(), Arc::clone(arrived));
    let client = scripted(&Recording::of(3), move |request| {
        attempt(request, nodes.clone(), Arc::clone(&arrived))
    });
    client.options(CallOptions::new().idempotent(true))
}

/// One call through the whole stack, in virtual time.
fn sent(
    body: impl FnOnce() -> tonic::body::Body,
    nodes: &Nodes,
) -> (Result<Response<ResponseBody>, Error>, Arrived) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    let arrived: Arc<Mutex<Arrived>> = Arc::default();
    let client = client(nodes, &arrived).build().unwrap();
    let request = Request::post("/chat.Chat/Sum").body(body()).unwrap();
    let answer = runtime.block_on(async { client.channel("chat").call(request).await });
    let arrived = std::mem::take(&mut *arrived.lock().unwrap());
    (answer, arrived)
}

/// So many bytes of any kind, the same for the same seed.
fn bytes(size: usize, seed: u64) -> Bytes {
    let mut bytes = vec![0; size];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes.into()
}

/// A frame of so many bytes, and whether it has to be waited for.
type Piece = (usize, bool);

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let size = prop_oneof![0..64_usize, 0..8 * 1024_usize, 0..3 * KEPT / 2];
    prop::collection::vec((size, any::<bool>()), 1..24)
}

fn frames(pieces: &[Piece]) -> Vec<(Bytes, bool)> {
    let frame = |(seed, piece): (u64, &Piece)| (bytes(piece.0, seed), piece.1);
    (0..).zip(pieces).map(frame).collect()
}

fn body_of(frames: Vec<(Bytes, bool)>) -> tonic::body::Body {
    let frames = stream::iter(frames).then(|(bytes, waits)| async move {
        if waits {
            sleep(MOMENT).await;
        }
        Ok::<_, Status>(Frame::data(bytes))
    });
    tonic::body::Body::new(StreamBody::new(frames))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn the_message_of_a_call_arrives_whole_in_the_last_attempt(
        size in 1..=1_usize << 20,
        nodes in nodes(),
    ) {
        let message = bytes(size, 7);
        let whole = || tonic::body::Body::new(Full::new(message.clone()));
        let (answer, arrived) = sent(whole, &nodes);
        prop_assert!(answer.is_ok(), "{:?}", answer);
        prop_assert!(arrived.whole == Some(message), "something else arrived");
        prop_assert_eq!(arrived.read.len(), nodes.reads.len());
    }

    #[test]
    fn a_request_stream_arrives_whole_in_the_last_attempt_or_not_at_all(
        pieces in pieces(),
        nodes in nodes(),
    ) {
        let frames = frames(&pieces);
        let all = frames.iter().map(|(bytes, _)| &bytes[..]).collect::<Vec<_>>().concat();
        let (answer, arrived) = sent(|| body_of(frames), &nodes);
        let kept = arrived.read.iter().all(|read| *read <= KEPT);
        match answer {
            Ok(_) => prop_assert!(arrived.whole == Some(all.into()), "something else arrived"),
            Err(error) => {
                prop_assert!(!kept, "{error} though only {:?} was read", arrived.read);
                prop_assert_eq!(error.code(), Code::Unavailable);
                prop_assert_eq!(arrived.whole, None);
            }
        }
    }
}
