//! One open connection.

#[cfg(test)]
mod tests;

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
