use std::{sync::mpsc, thread, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, header::TE};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    runtime,
    time::{sleep, timeout},
};
use tonic::Status;
use tower_micro_call::Replay;
use tower_micro_registry::Node;

use super::{
    super::{H2, exchange, slot::Slot},
    *,
};

const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

async fn open() -> (Arc<Slot>, DuplexStream) {
    let (near, mut far) = duplex(1 << 16);
    far.write_all(&SETTINGS).await.unwrap();
    let near = Mutex::new(Some(near));
    let connect = H2::new().dial(move |_: &Node| {
        let near = near.lock().unwrap().take();
        std::future::ready(Ok(near.expect("it is dialled once")))
    });
    let origin = Origin::new(false, "a:1".parse().unwrap(), HeaderValue::from_static("a"));
    let node = Node::new("a", "a:1");
    let slot = Slot::new(connect, node, origin, Duration::MAX, &Arc::default());
    Arc::clone(&slot).opened().await.unwrap();
    (slot, far)
}

/// Something of the caller's that comes back to the connection when it is dropped.
#[derive(Clone)]
struct ComesBack(Arc<Link>);

impl Drop for ComesBack {
    fn drop(&mut self) {
        self.0.look();
    }
}

/// A request whose body, and whose extensions, are the caller's own.
fn request(link: &Arc<Link>) -> Request<Body> {
    let comes_back = ComesBack(Arc::clone(link));
    let frames = futures_util::stream::poll_fn(move |_| {
        let _ = &comes_back;
        Poll::<Option<Result<Frame<Bytes>, Status>>>::Pending
    });
    let body = tonic::body::Body::new(StreamBody::new(frames));
    let mut request = Request::new(body.capture());
    request.extensions_mut().insert(ComesBack(Arc::clone(link)));
    request
}

async fn sends_and_is_refused() {
    let (slot, _far) = open().await;
    let link = slot.link().unwrap().get();
    let sent = link.start(slot.origin(), request(&link));
    assert!(matches!(sent, Start::Sent(_)));
    let mut wrong = request(&link);
    // HTTP/2 has no place for it, and h2 says so.
    let te = HeaderValue::from_static("gzip");
    wrong.headers_mut().insert(TE, te);
    let refused = link.start(slot.origin(), wrong);
    assert!(matches!(refused, Start::Refused(_)));
}

const DATA: u8 = 0;

/// The kind and the stream of the next frame, of which nothing else is kept.
async fn next_frame(far: &mut DuplexStream) -> (u8, u8) {
    let mut head = [0; 9];
    far.read_exact(&mut head).await.unwrap();
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    far.read_exact(&mut payload).await.unwrap();
    (head[3], head[8])
}

// What a peer allows no more is known a moment before calls know it.
#[tokio::test(start_paused = true)]
async fn a_request_that_waits_to_be_opened_is_not_sent_when_it_is_let_go_of() {
    const ONE_STREAM: [u8; 15] = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1];
    const RESET: [u8; 13] = [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8];
    let moment = Duration::from_secs(1);
    let (slot, mut far) = open().await;
    let link = slot.link().unwrap().get();
    let start = || {
        link.start(
            slot.origin(),
            Request::new(Body::from(Bytes::from("hello"))),
        )
    };
    let _busy = start();
    far.write_all(&ONE_STREAM).await.unwrap();
    sleep(moment).await;
    link.state.allow(2);
    let gone = start();
    assert!(matches!(gone, Start::Sent(_)));
    drop(gone);
    far.write_all(&RESET).await.unwrap();
    sleep(moment).await;
    far.read_exact(&mut [0; 24]).await.unwrap();
    while let Ok(frame) = timeout(moment, next_frame(&mut far)).await {
        assert_ne!(frame, (DATA, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_more_than_h2_takes_at_once_goes_in_pieces() {
    let (slot, mut far) = open().await;
    let link = slot.link().unwrap().get();
    let head = Request::builder().uri("http://a").body(()).unwrap();
    let (_answer, mut stream) = link.requests().send_request(head, false).unwrap();
    exchange::send(&mut stream, Bytes::from("more than four"), true, 4).unwrap();
    far.read_exact(&mut [0; 24]).await.unwrap();
    let mut pieces = 0;
    while let Ok(frame) = timeout(Duration::from_secs(1), next_frame(&mut far)).await {
        pieces += usize::from(frame == (DATA, 1));
    }
    assert_eq!(pieces, 4);
}

#[test]
fn what_is_dropped_of_a_request_may_come_back_to_its_connection() {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_time().build();
        runtime.unwrap().block_on(sends_and_is_refused());
        done.send(())
    });
    let patience = Duration::from_secs(20);
    is_done
        .recv_timeout(patience)
        .expect("nobody waits for itself");
}
