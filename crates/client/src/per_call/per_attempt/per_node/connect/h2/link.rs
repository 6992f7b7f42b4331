//! One open connection.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{
            AtomicBool, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use tokio::sync::{Notify, futures::OwnedNotified};
use tonic::Code;
use tower_micro_call::{Body, BoxError, Disposition, Error, Kind};

use super::{
    exchange::Exchange,
    failure::GivenUp,
    origin::Origin,
    room::{Opened, Room},
};

/// A connection whose SETTINGS have come.
pub(super) struct Link {
    requests: Mutex<SendRequest<Bytes>>,
    max_streams: usize,
    state: Arc<LinkState>,
}

/// What the connection's task and the calls on it tell each other.
#[derive(Debug)]
pub(super) struct LinkState {
    closed: AtomicBool,
    room: Opened,
    given_up: OnceLock<String>,
    streams: AtomicUsize,
    /// Calls that wait for a stream.
    waiting: AtomicUsize,
    freed: Arc<Notify>,
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

impl Link {
    pub(super) fn new(requests: SendRequest<Bytes>, max_streams: usize, room: &Arc<Room>) -> Self {
        Self {
            requests: Mutex::new(requests),
            max_streams,
            state: Arc::new(LinkState {
                closed: AtomicBool::new(false),
                room: room.open(max_streams),
                given_up: OnceLock::new(),
                streams: AtomicUsize::new(0),
                waiting: AtomicUsize::new(0),
                freed: Arc::default(),
            }),
        }
    }

    pub(super) fn state(&self) -> Arc<LinkState> {
        Arc::clone(&self.state)
    }

    /// Whether more streams can be opened.
    pub(super) fn is_open(&self) -> bool {
        !self.state.closed.load(Relaxed)
    }

    /// Sends `request`, or hands it back.
    pub(super) fn start(&self, origin: &Origin, request: Request<Body>) -> Start {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let mut context = Context::from_waker(Waker::noop());
        let mut beside;
        let requests = match requests.poll_ready(&mut context) {
            Poll::Ready(Ok(())) => &mut *requests,
            // The last stream waits to be opened, and its handle with it; another handle need not.
            Poll::Pending => {
                beside = requests.clone();
                &mut beside
            }
            Poll::Ready(Err(cause)) => {
                self.state.close();
                return Start::Closed(request, cause);
            }
        };
        let Some(ticket) = self.ticket() else {
            return Start::Full(request);
        };
        let (head, body) = origin.write(request);
        let is_empty = http_body::Body::is_end_stream(&body);
        match requests.send_request(head, is_empty) {
            Ok((response, stream)) => {
                Start::Sent(Exchange::new(response, stream, body, is_empty, ticket))
            }
            Err(error) => Start::Refused(unsent(error)),
        }
    }

    /// Leave for one more stream.
    fn ticket(&self) -> Option<Ticket> {
        let allowed = |streams| (streams < self.max_streams).then_some(streams + 1);
        let taken = self.state.streams.fetch_update(SeqCst, SeqCst, allowed);
        taken.is_ok().then(|| Ticket(Arc::clone(&self.state)))
    }

    /// Waits until a stream has ended, or the connection.
    pub(super) fn wait(&self) -> Waiting {
        self.state.waiting.fetch_add(1, SeqCst);
        Waiting {
            state: Arc::clone(&self.state),
            freed: Box::pin(Arc::clone(&self.state.freed).notified_owned()),
        }
    }
}

/// Leave for one stream, until it is dropped.
#[derive(Debug)]
pub(super) struct Ticket(Arc<LinkState>);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, SeqCst);
        if self.0.waiting.load(SeqCst) > 0 {
            self.0.freed.notify_one();
        }
    }
}

impl std::ops::Deref for Ticket {
    type Target = LinkState;

    fn deref(&self) -> &LinkState {
        &self.0
    }
}

/// A place in the queue for a stream.
pub(super) struct Waiting {
    state: Arc<LinkState>,
    freed: Pin<Box<OwnedNotified>>,
}

impl Waiting {
    /// Ready when it is worth another look. The first time it is polled comes before the first look.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.state.closed.load(SeqCst) {
            return Poll::Ready(());
        }
        ready!(self.freed.as_mut().poll(cx));
        self.freed
            .set(Arc::clone(&self.state.freed).notified_owned());
        Poll::Ready(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.state.waiting.fetch_sub(1, SeqCst);
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
    /// No stream is opened any more.
    pub(super) fn close(&self) {
        self.closed.store(true, SeqCst);
        self.room.close();
        self.freed.notify_waiters();
    }

    /// The same, for a reason that the peer does not know of.
    pub(super) fn give_up(&self, why: String) {
        // The first reason is the reason.
        let _ = self.given_up.set(why);
        self.close();
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
