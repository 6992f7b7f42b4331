//! A node that says to an HTTP/2 client, byte for byte, what a script tells it to.
//!
//! The `h2` crate refuses to send what is illegal, so frames are written by hand here. A [`Peer`] is a [`Connect`] over a pipe in
//! memory; the client's side of it is a connection of our own, or tonic's channel if the test says so, so that all between a call and the
//! wire is the real thing, and time may be paused. Dial k gets script k; the last script is for all dials after it.
//!
//! A script that has come to its end leaves the connection open: SETTINGS and PINGs are answered, requests are not. Steps about a
//! stream mean the one awaited last. DATA of a [`Step`] waits for the windows that the client gives; a raw [`Step::Frame`] does not.
//!
//! # Example
//! ```
//! use tower_micro_client::Client;
//! use tower_micro_registry::Static;
//! use tower_micro_testkit::h2_peer::{Peer, Step::*, reason::NO_ERROR};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let goes = [Settings, AwaitRequest, Goaway { last: 0, reason: NO_ERROR }, Close];
//! let peer = Peer::script(goes).then([Settings, Serve]);
//! let client = Client::builder()
//!     .registry(Static::addresses("greeter", ["10.0.0.1:1"])?)
//!     .connect(peer.clone())
//!     .build()?;
//! # let _ = client;
//! // … a call, and then:
//! assert_eq!(peer.seen().requests, 0);
//! # Ok(()) }
//! ```
//!
//! # Not here
//! What the client's header blocks say: they are counted and not read. Windows are not given back, so a connection takes requests of
//! 64 KiB in all.

mod connection;
mod frame;
mod heard;
mod pipe;
mod play;
mod step;
mod wire;

use std::{fmt, io, sync::Arc, time::Duration};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tonic::transport::Endpoint;
use tower::service_fn;
use tower_micro_call::{BoxFuture, Error};
use tower_micro_client::{
    Connect,
    connect::{H2, Keepalive, State},
};
use tower_micro_registry::Node;
use tower_micro_selector::Candidate;

use self::pipe::Pipe;
pub use self::{connection::PeerConnection, frame::reason, step::Step};

type Template = dyn Fn(Endpoint) -> Endpoint + Send + Sync;

/// Whose connections a peer is called with.
#[derive(Clone)]
enum Over {
    H2(Box<H2>),
    Tonic(Option<Arc<Template>>),
}

/// A node that is a script. Clones share what it has seen. See the [module docs](self) for an example.
#[derive(Clone)]
pub struct Peer {
    scripts: Vec<Arc<[Step]>>,
    over: Over,
    keepalive: Option<Keepalive>,
    seen: Arc<watch::Sender<Seen>>,
}

/// What has reached a peer, over all of its connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// Connections that were begun, refused ones included.
    pub dials: usize,
    /// Requests of which at least the headers came.
    pub requests: usize,
    /// Streams that the client has reset.
    pub resets: usize,
    /// With which error the client gave a connection up last: the reason of its GOAWAY.
    pub gave_up: Option<u32>,
}

impl Peer {
    /// Plays `steps` on every connection, or on the first one if [`then`](Self::then) says more.
    pub fn script(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            scripts: vec![steps.into_iter().collect()],
            over: Over::H2(Box::new(H2::new())),
            keepalive: None,
            seen: Arc::default(),
        }
    }

    /// Plays `steps` on the connection after, and on those that follow.
    #[must_use]
    pub fn then(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.scripts.push(steps.into_iter().collect());
        self
    }

    /// Is called with tonic's channels instead of our own connections.
    #[must_use]
    pub fn over_tonic(mut self) -> Self {
        if matches!(self.over, Over::H2(_)) {
            self.over = Over::Tonic(None);
        }
        self
    }

    /// The same, with changes to the client's [`Endpoint`]: keepalive, windows, limits.
    #[must_use]
    pub fn endpoint(
        mut self,
        template: impl Fn(Endpoint) -> Endpoint + Send + Sync + 'static,
    ) -> Self {
        self.over = Over::Tonic(Some(Arc::new(template)));
        self
    }

    /// Asks for an answer to a ping so often, within so much time.
    #[must_use]
    pub fn keepalive(mut self, interval: Duration, timeout: Duration) -> Self {
        self.keepalive = Some(Keepalive {
            interval,
            timeout,
            while_idle: true,
        });
        self
    }

    /// What has reached it so far.
    pub fn seen(&self) -> Seen {
        *self.seen.borrow()
    }

    /// Waits until what has reached it is `enough`.
    pub async fn has_seen(&self, mut enough: impl FnMut(Seen) -> bool) {
        let mut watch = self.seen.subscribe();
        let seen = watch.wait_for(|seen| enough(*seen)).await;
        seen.expect("the sender is a field of this");
    }

    /// The client's end of connection number k, whose other end plays script k.
    async fn dial(self) -> io::Result<Pipe> {
        let script = self.next_script();
        match script.first() {
            Some(Step::Refuse) => return Err(io::ErrorKind::ConnectionRefused.into()),
            Some(Step::Drop) => return std::future::pending().await,
            _ => {}
        }
        let (ours, theirs) = Pipe::pair();
        tokio::spawn(play::play(script, theirs, self.seen));
        Ok(ours)
    }

    fn next_script(&self) -> Arc<[Step]> {
        let mut dial = 0;
        self.seen.send_modify(|seen| {
            dial = seen.dials;
            seen.dials += 1;
        });
        let last = self.scripts.len() - 1;
        Arc::clone(&self.scripts[dial.min(last)])
    }

    fn channel(
        &self,
        template: Option<&Arc<Template>>,
        timeout: Option<Duration>,
    ) -> PeerConnection {
        let endpoint = Endpoint::from_static("http://peer.test");
        let endpoint = match timeout {
            Some(timeout) => endpoint.connect_timeout(timeout),
            None => endpoint,
        };
        let endpoint = match self.keepalive {
            Some(keepalive) => endpoint
                .http2_keep_alive_interval(keepalive.interval)
                .keep_alive_timeout(keepalive.timeout)
                .keep_alive_while_idle(keepalive.while_idle),
            None => endpoint,
        };
        let endpoint = match template {
            Some(template) => template(endpoint),
            None => endpoint,
        };
        let peer = self.clone();
        let connector = service_fn(move |_: Uri| {
            let dialling = peer.clone().dial();
            async { Ok::<_, io::Error>(TokioIo::new(dialling.await?)) }
        });
        PeerConnection::Tonic(endpoint.connect_with_connector_lazy(connector))
    }

    /// Our own connections to it.
    fn dialled_by(&self, h2: &H2) -> H2 {
        let peer = self.clone();
        let h2 = match self.keepalive {
            Some(keepalive) => h2.clone().keepalive(keepalive),
            None => h2.clone(),
        };
        h2.dial(move |_: &Node| peer.clone().dial())
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("scripts", &self.scripts)
            .field("seen", &self.seen())
            .finish_non_exhaustive()
    }
}

impl Connect for Peer {
    type Connection = PeerConnection;

    fn connect(
        &self,
        node: &Candidate,
        timeout: Option<Duration>,
    ) -> Result<PeerConnection, Error> {
        match &self.over {
            Over::H2(h2) => {
                let connection = self.dialled_by(h2).connect(node, timeout)?;
                Ok(PeerConnection::H2(connection))
            }
            Over::Tonic(template) => Ok(self.channel(template.as_ref(), timeout)),
        }
    }

    fn beside(
        &self,
        other: &PeerConnection,
        node: &Candidate,
        timeout: Option<Duration>,
    ) -> Result<PeerConnection, Error> {
        match (&self.over, other) {
            (Over::H2(h2), PeerConnection::H2(other)) => {
                let connection = self.dialled_by(h2).beside(other, node, timeout)?;
                Ok(PeerConnection::H2(connection))
            }
            _ => self.connect(node, timeout),
        }
    }

    fn state(&self, connection: &PeerConnection) -> State {
        match (&self.over, connection) {
            (Over::H2(h2), PeerConnection::H2(connection)) => h2.state(connection),
            _ => State::Open {
                streams: usize::MAX,
            },
        }
    }

    fn is_idle(&self, connection: &PeerConnection) -> bool {
        match (&self.over, connection) {
            (Over::H2(h2), PeerConnection::H2(connection)) => h2.is_idle(connection),
            _ => true,
        }
    }

    fn open(&self, connection: &PeerConnection) -> Option<BoxFuture<()>> {
        match (&self.over, connection) {
            (Over::H2(h2), PeerConnection::H2(connection)) => h2.open(connection),
            _ => None,
        }
    }
}
