//! One open connection.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use tonic::Code;
use tower_micro_call::{Body, Disposition, Error, Kind};

use super::{exchange::Exchange, failure::GivenUp, origin::Origin};

/// A connection whose SETTINGS have come.
pub(super) struct Link {
    requests: Mutex<SendRequest<Bytes>>,
    max_streams: usize,
    state: Arc<LinkState>,
}

/// What the connection's task and the calls on it tell each other.
#[derive(Debug, Default)]
pub(super) struct LinkState {
    closed: AtomicBool,
    given_up: OnceLock<String>,
}

/// A request that was not sent.
pub(super) struct Unsent {
    pub(super) request: Request<Body>,
    pub(super) cause: h2::Error,
}

impl Link {
    pub(super) fn new(requests: SendRequest<Bytes>, max_streams: usize) -> Self {
        Self {
            requests: Mutex::new(requests),
            max_streams,
            state: Arc::default(),
        }
    }

    pub(super) fn state(&self) -> Arc<LinkState> {
        Arc::clone(&self.state)
    }

    /// How many streams the peer allows, or `None` if no more can be opened.
    pub(super) fn room(&self) -> Option<usize> {
        let closed = self.state.closed.load(Relaxed);
        (!closed).then_some(self.max_streams)
    }

    /// Sends `request`, or hands it back if the connection takes no more.
    ///
    /// The `Err` of the inner result is a request that cannot be sent on any connection, or that came between two looks at this one.
    pub(super) fn start(
        &self,
        origin: &Origin,
        request: Request<Body>,
    ) -> Result<Result<Exchange, Error>, Box<Unsent>> {
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
                return Err(Box::new(Unsent { request, cause }));
            }
        };
        let (head, body) = origin.write(request);
        let is_empty = http_body::Body::is_end_stream(&body);
        Ok(match requests.send_request(head, is_empty) {
            Ok((response, stream)) => {
                let state = Arc::clone(&self.state);
                Ok(Exchange::new(response, stream, body, is_empty, state))
            }
            Err(error) => Err(unsent(error)),
        })
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
        self.closed.store(true, Relaxed);
    }

    /// The same, for a reason that the peer does not know of.
    pub(super) fn give_up(&self, why: String) {
        // The first reason is the reason.
        let _ = self.given_up.set(why);
        self.close();
    }

    /// Whether no call is on the connection: each holds this, as the connection and its task do.
    pub(super) fn is_idle(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) <= 2
    }

    /// What became of a stream, in the words of whoever ended the connection.
    pub(super) fn told(&self, error: h2::Error) -> Error {
        match self.given_up.get() {
            Some(why) => Error::transport(GivenUp {
                why: why.clone(),
                source: error,
            }),
            None => Error::transport(error),
        }
    }
}
