//! One open connection.

use std::{
    mem,
    ops::ControlFlow::{self, Break, Continue},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{
            AtomicBool, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use h2::{
    SendStream,
    client::{ResponseFuture, SendRequest},
};
use http::{Extensions, Request};
use tonic::Code;
use tower_micro_call::{Body, BoxError, Disposition, Error, Kind};

use super::{
    exchange::Exchange,
    failure::GivenUp,
    origin::Origin,
    queue::Queue,
    room::{Opened, Room},
};

/// A connection whose SETTINGS have come.
pub(super) struct Link {
    requests: Mutex<SendRequest<Bytes>>,
    state: Arc<LinkState>,
}

/// What the connection's task and the calls on it tell each other.
#[derive(Debug)]
pub(super) struct LinkState {
    /// The handle, which ends the connection when it is dropped by those who need it.
    link: Weak<Link>,
    closed: AtomicBool,
    room: Opened,
    given_up: OnceLock<String>,
    streams: AtomicUsize,
    /// As far as is known: it is asked again when it matters.
    max_streams: AtomicUsize,
    /// Calls that wait for a stream, of this connection or of another one to the node.
    queue: Arc<Queue>,
}

/// What becomes of a request that is given to a connection.
pub(super) enum Start {
    Sent(Exchange),
    /// It cannot be sent on any connection, or the connection has ended while it was being sent.
    Refused(Error),
    /// The peer allows no more streams at the moment.
    Full(Request<Body>),
    /// The connection takes no more.
    Closed(Request<Body>, h2::Error),
}

/// A request that was given to h2, which has taken or refused it, and what is left of it.
struct Given {
    stream: Result<(ResponseFuture, SendStream<Bytes>), h2::Error>,
    body: Body,
    ticket: Ticket,
    _extensions: Extensions,
}

impl Link {
    pub(super) fn new(
        requests: SendRequest<Bytes>,
        max_streams: usize,
        room: &Arc<Room>,
        queue: &Arc<Queue>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|link| Self {
            requests: Mutex::new(requests),
            state: Arc::new(LinkState {
                link: Weak::clone(link),
                closed: AtomicBool::new(false),
                room: room.open(max_streams),
                given_up: OnceLock::new(),
                streams: AtomicUsize::new(0),
                max_streams: AtomicUsize::new(max_streams),
                queue: Arc::clone(queue),
            }),
        })
    }

    pub(super) fn state(&self) -> Arc<LinkState> {
        Arc::clone(&self.state)
    }

    /// Whether more streams can be opened.
    pub(super) fn is_open(&self) -> bool {
        !self.state.closed.load(SeqCst)
    }

    /// Whether no call is on it.
    pub(super) fn is_idle(&self) -> bool {
        self.state.is_idle()
    }

    /// Sends `request` if nobody waits to send one, or hands it back.
    pub(super) fn start(&self, origin: &Origin, request: Request<Body>) -> Start {
        if self.state.queue.is_empty() {
            self.start_now(origin, request)
        } else {
            Start::Full(request)
        }
    }

    /// The same, whoever waits.
    pub(super) fn start_now(&self, origin: &Origin, request: Request<Body>) -> Start {
        self.start_with(origin, request, |requests| {
            self.ticket().or_else(|| {
                // The peer may allow more than it did.
                self.state.allow(requests.current_max_send_streams());
                self.ticket()
            })
        })
    }

    /// The same with leave for it.
    pub(super) fn start_next(
        &self,
        origin: &Origin,
        request: Request<Body>,
        ticket: Ticket,
    ) -> Start {
        self.start_with(origin, request, |_| Some(ticket))
    }

    fn start_with(
        &self,
        origin: &Origin,
        request: Request<Body>,
        ticket: impl FnOnce(&SendRequest<Bytes>) -> Option<Ticket>,
    ) -> Start {
        let is_empty = http_body::Body::is_end_stream(request.body());
        let given = match self.give(origin, request, is_empty, ticket) {
            Continue(given) => given,
            Break(start) => return start,
        };
        let (body, ticket) = (given.body, given.ticket);
        match given.stream {
            Ok((answer, stream)) => {
                Start::Sent(Exchange::new(answer, stream, body, is_empty, ticket))
            }
            Err(error) => Start::Refused(unsent(error)),
        }
    }

    /// What is done under the lock. What is the caller's own is not asked there, and not dropped: it may come back to this connection.
    fn give(
        &self,
        origin: &Origin,
        request: Request<Body>,
        is_empty: bool,
        ticket: impl FnOnce(&SendRequest<Bytes>) -> Option<Ticket>,
    ) -> ControlFlow<Start, Given> {
        let mut requests = self.requests();
        let mut context = Context::from_waker(Waker::noop());
        let mut beside;
        let requests = match requests.poll_ready(&mut context) {
            Poll::Ready(Ok(())) => &mut *requests,
            // The last stream waits to be opened, and its handle with it; another handle need not.
            Poll::Pending => {
                beside = requests.clone();
                self.state.allow(beside.current_max_send_streams());
                &mut beside
            }
            Poll::Ready(Err(cause)) => {
                self.state.close();
                return Break(Start::Closed(request, cause));
            }
        };
        let Some(ticket) = ticket(requests) else {
            return Break(Start::Full(request));
        };
        let (mut head, body) = origin.write(request);
        let extensions = mem::take(head.extensions_mut());
        let stream = requests.send_request(head, is_empty);
        if stream.is_ok() && !body.is_complete() {
            forget_last(requests);
        }
        Continue(Given {
            stream,
            body,
            ticket,
            _extensions: extensions,
        })
    }

    fn requests(&self) -> MutexGuard<'_, SendRequest<Bytes>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leave for one more stream.
    pub(super) fn ticket(&self) -> Option<Ticket> {
        let state = &self.state;
        let max_streams = state.max_streams.load(SeqCst);
        let allowed = |streams| (streams < max_streams).then_some(streams + 1);
        let taken = state.streams.fetch_update(SeqCst, SeqCst, allowed);
        taken.is_ok().then(|| Ticket(Arc::clone(state)))
    }

    /// Looks whether the connection still takes streams, and how many: for those who wait, who are then to be served.
    pub(super) fn look(&self) {
        let mut requests = self.requests();
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(Err(_)) = requests.poll_ready(&mut context) {
            self.state.close();
        } else {
            self.state.allow(requests.current_max_send_streams());
        }
    }
}

/// A handle whose last stream waits to be opened would, when it is asked whether it is ready, take the place of who is woken when that can
/// go on: of a request that is still being sent.
fn forget_last(requests: &mut SendRequest<Bytes>) {
    let mut context = Context::from_waker(Waker::noop());
    if requests.poll_ready(&mut context).is_pending() {
        *requests = requests.clone();
    }
}

/// Leave for one stream, until it is dropped.
#[derive(Debug)]
pub(super) struct Ticket(Arc<LinkState>);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, SeqCst);
        self.0.queue.serve();
    }
}

impl std::ops::Deref for Ticket {
    type Target = LinkState;

    fn deref(&self) -> &LinkState {
        &self.0
    }
}

/// The connection has ended since it was asked, or the request is one that h2 does not send.
fn unsent(error: h2::Error) -> Error {
    let connection = error.is_go_away() || error.is_io() || error.reason().is_some();
    if connection {
        return Error::transport(error).with_disposition(Disposition::NeverSent);
    }
    let text = format!("the request cannot be sent by HTTP/2: {error}");
    Error::new(Kind::Request, Code::Internal, text).caused_by(Arc::new(error))
}

impl LinkState {
    /// The handle, while somebody needs the connection.
    pub(super) fn link(&self) -> Option<Arc<Link>> {
        self.link.upgrade()
    }

    /// A request is let go of: if it waits to be opened, the handle that it was sent by is the last that wants it to be.
    pub(super) fn let_go(&self) {
        if let Some(link) = self.link() {
            forget_last(&mut link.requests());
        }
    }

    /// No stream is opened any more.
    pub(super) fn close(&self) {
        if !self.closed.swap(true, SeqCst) {
            self.room.close();
            self.queue.wake();
        }
    }

    /// The same, for a reason that the peer does not know of.
    pub(super) fn give_up(&self, why: String) {
        // The first reason is the reason.
        let _ = self.given_up.set(why);
        self.close();
    }

    /// The peer allows so many streams now.
    pub(super) fn allow(&self, streams: usize) {
        if self.max_streams.load(SeqCst) != streams {
            self.max_streams.store(streams, SeqCst);
            self.room.allow(streams);
        }
    }

    /// Who waits for a stream.
    pub(super) const fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Whether no call is on the connection.
    pub(super) fn is_idle(&self) -> bool {
        self.streams.load(Relaxed) == 0
    }

    /// What became of a stream, in the words of whoever ended the connection.
    pub(super) fn told(&self, error: h2::Error) -> BoxError {
        match self.given_up.get() {
            Some(why) => GivenUp {
                why: why.clone(),
                source: error,
            }
            .into(),
            None => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
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
}
