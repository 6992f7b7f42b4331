//! Connections of our own: HTTP/2 by the `h2` crate, with nothing between a call and the connection.
//!
//! A call writes its request into the connection itself and reads its answer from it: no queue and no worker in between, no task a
//! call, no box a hop. One task a connection reads and writes the socket.
//!
//! # What a connection does
//! - It is **opened** when a call needs it, and is open when the node's SETTINGS have come: dial, TLS and SETTINGS share one budget, the
//!   connect timeout of the call that begins the dial. A peer that accepts and says nothing is not connected.
//! - **One dial at a time**: calls that need the connection wait for the same dial. A task drives it on, polled or not, as long as one of
//!   them waits. After one that all have given up, the next goes on by itself, within its connect timeout: callers that have less time than a connection takes come to
//!   one, too.
//! - **An attempt waits for its share** of the call's time, if others may follow it ([`Notes::share`](tower_micro_call::Notes::share)). Then
//!   the dial goes on by itself. If there is a node that was not tried, and any connection of this connector is open, the attempt ends: it
//!   has sent nothing, and the next one goes there, whatever the method. Else it goes on waiting, for another node would be no sooner.
//! - After a dial has failed, the next one waits 100 ms, then 160 ms, 256 ms, … at most 2 s, give or take a fifth, until SETTINGS come
//!   (gRPC's `connection-backoff.md`, with a cap that lets a node come back soon). **A call that comes meanwhile fails at once**, with the
//!   cause of the dial that failed, so that its retry can go to another node. So it is for the only node too: waiting for it is for the
//!   caller to ask for, and a call that waits unasked is a call that piles up.
//! - A request that finds all streams taken that the node allows **waits its turn**, for the connections to that node together: it goes
//!   to whichever has room first, be it one that has just been opened. When its own connection closes it keeps its turn: that connection is
//!   dialled again, with the same patience, and if that fails it waits for the others, as long as there are any.
//! - A request that has waited tells its node what is left of the time that it was to tell.
//! - A request that the connection cannot take any more (GOAWAY, the last stream id, closed) was not sent, and goes to the next
//!   connection; the call does not see it.
//! - A [`Keepalive`] ping finds a peer that has gone without a word; one that goes on sending is there, however late it answers. A node
//!   that calls pings too many (GOAWAY with ENHANCE_YOUR_CALM and `too_many_pings`) is asked half as often from then on (gRFC A8).
//! - Dropping an answer resets its stream with CANCEL, be it before or after its headers; a request that is still being sent stops.
//!
//! # Units and defaults
//! Connect timeout: that of the call's options, 20 s if they have none. Pings every 30 s, answered within 10 s, on idle connections
//! too. Windows 2 MiB a stream, 5 MiB a connection. `:authority` is the address, unless it is set. User agent `tower-micro/<version>`.
//!
//! # Errors
//! UNAVAILABLE, [`Kind::Connect`], never sent, with the whole chain of causes, if no connection can be had; INVALID_ARGUMENT if the
//! address is none. What becomes of a request that was sent stands in [`Error::transport`].
//!
//! # Example
//! ```
//! use std::time::Duration;
//! use tower_micro_client::connect::{H2, Keepalive};
//!
//! let connect = H2::new()
//!     .authority("greeter.internal")?
//!     .keepalive(Keepalive { interval: Duration::from_secs(60), ..Keepalive::default() });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is dialled can be anything that reads and writes: a Unix-domain socket, a pipe in memory, a proxy. See [`Dial`].
//! TLS is [`Tls`], with the feature `tls`.
//!
//! # Not here
//! How many connections a node has: see [`pool`](super::super::pool).

mod answer;
mod backoff;
mod census;
mod dial;
mod dialling;
mod driver;
mod exchange;
mod failure;
mod future;
mod heard;
mod home;
mod keepalive;
mod link;
mod open;
mod origin;
mod pump;
mod queue;
mod room;
mod slot;
mod tcp;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
mod tls;

#[cfg(unix)]
pub use dial::Unix;
pub use dial::{Dial, Dialled, Io};
pub use future::ResponseFuture;
pub use keepalive::Keepalive;
pub use origin::InvalidName;
pub use tcp::Tcp;
#[cfg(feature = "tls")]
pub use tls::{InvalidTls, Tls};

use std::{
    fmt,
    future::Future,
    ops::RangeInclusive,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderValue, Request, Response, header::InvalidHeaderValue, uri::Authority};
#[cfg(doc)]
use tower_micro_call::Kind;
use tower_micro_call::{Body, BoxFuture, Error, ResponseBody};
use tower_micro_selector::Candidate;
use tower_service::Service;

use self::census::Census;
use super::{Connect, State};
use crate::BuildError;
use origin::Origin;
use queue::Queue;
use slot::Slot;

const USER_AGENT: &str = concat!("tower-micro/", env!("CARGO_PKG_VERSION"));
/// For a dial whose call says nothing of it: gRPC's least connect timeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Of a window, in bytes; with none no answer would come.
const WINDOWS: RangeInclusive<u32> = 1..=i32::MAX as u32;

/// Connects with HTTP/2 of our own. See the [module docs](self) for an example.
#[derive(Clone)]
pub struct H2 {
    dial: Arc<dyn Dial>,
    authority: Option<Authority>,
    user_agent: HeaderValue,
    keepalive: Option<Keepalive>,
    stream_window: u32,
    connection_window: u32,
    /// How many of its connections are open.
    open: Arc<Census>,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

impl Default for H2 {
    fn default() -> Self {
        Self::new()
    }
}

impl H2 {
    /// Plaintext over TCP.
    pub fn new() -> Self {
        Self {
            dial: Arc::new(Tcp::new()),
            authority: None,
            user_agent: HeaderValue::from_static(USER_AGENT),
            keepalive: Some(Keepalive::default()),
            open: Arc::default(),
            stream_window: 2 << 20,
            connection_window: 5 << 20,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Sends `name[:port]` in `:authority`, for every node. The registry says where nodes are, and not who they are.
    ///
    /// # Errors
    /// If it is not `name[:port]`.
    pub fn authority(mut self, authority: &str) -> Result<Self, InvalidName> {
        self.authority = Some(origin::chosen(authority)?);
        Ok(self)
    }

    /// Says `prefix` before `tower-micro/<version>` in `user-agent`; nothing, if it is empty.
    ///
    /// # Errors
    /// If no header can hold it.
    pub fn user_agent(mut self, prefix: &str) -> Result<Self, InvalidHeaderValue> {
        // A value that begins or ends with a space makes a request malformed (RFC 9113 §8.2.1).
        let both = format!("{prefix} {USER_AGENT}");
        self.user_agent = HeaderValue::try_from(both.trim_matches([' ', '\t']))?;
        Ok(self)
    }

    /// How a peer that has gone is found; `None` for not at all. Neither of its times may be zero.
    #[must_use]
    pub fn keepalive(mut self, keepalive: impl Into<Option<Keepalive>>) -> Self {
        self.keepalive = keepalive.into();
        self
    }

    /// Bytes that may be under way to us before they are read: on one stream, and on a whole connection. What callers leave unread of
    /// their answers counts for the connection: once it is all of that, the other answers on it wait as well. From 1 to 2³¹ - 1 (RFC 9113
    /// §6.9.1).
    #[must_use]
    pub const fn windows(mut self, stream: u32, connection: u32) -> Self {
        (self.stream_window, self.connection_window) = (stream, connection);
        self
    }

    /// Opens something else than TCP.
    #[must_use]
    pub fn dial(mut self, dial: impl Dial) -> Self {
        self.dial = Arc::new(dial);
        self
    }

    /// Speaks TLS over what is dialled. `:authority` is the name of `tls`, unless it is set.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    fn connect_with(
        &self,
        queue: &Arc<Queue>,
        node: &Candidate,
        timeout: Option<Duration>,
    ) -> Result<H2Connection, Error> {
        self.check()
            .map_err(|invalid| super::unusable(&node.address, &invalid))?;
        self.dial
            .check(node)
            .map_err(|invalid| super::unusable(&node.address, &invalid))?;
        let origin = self.origin_of(&node.address)?;
        let timeout = timeout.unwrap_or(CONNECT_TIMEOUT);
        let slot = Slot::new(self.clone(), (**node).clone(), origin, timeout, queue);
        Ok(H2Connection(slot))
    }

    fn check_windows(&self) -> Result<(), BuildError> {
        let windows = [self.stream_window, self.connection_window];
        match windows.into_iter().find(|size| !WINDOWS.contains(size)) {
            Some(size) => Err(BuildError::Connections {
                option: "windows",
                given: format!("{size} bytes"),
                instead: "give each from 1 to 2147483647",
            }),
            None => Ok(()),
        }
    }

    /// What a request's URI begins with.
    fn origin_of(&self, address: &str) -> Result<Origin, Error> {
        #[cfg(feature = "tls")]
        let (is_tls, name) = (self.tls.is_some(), self.tls.as_ref().map(Tls::authority));
        #[cfg(not(feature = "tls"))]
        let (is_tls, name) = (false, None);
        let authority = match self.authority.clone().or(name) {
            Some(authority) => authority,
            None => {
                origin::parsed(address).map_err(|invalid| super::unusable(address, &invalid))?
            }
        };
        Ok(Origin::new(is_tls, authority, self.user_agent.clone()))
    }
}

impl Connect for H2 {
    type Connection = H2Connection;

    fn check(&self) -> Result<(), BuildError> {
        self.keepalive.as_ref().map_or(Ok(()), Keepalive::check)?;
        self.check_windows()
    }

    fn connect(&self, node: &Candidate, timeout: Option<Duration>) -> Result<H2Connection, Error> {
        self.connect_with(&Arc::default(), node, timeout)
    }

    fn beside(
        &self,
        other: &H2Connection,
        node: &Candidate,
        timeout: Option<Duration>,
    ) -> Result<H2Connection, Error> {
        self.connect_with(other.0.queue(), node, timeout)
    }

    fn state(&self, connection: &H2Connection) -> State {
        connection.0.state()
    }

    fn is_idle(&self, connection: &H2Connection) -> bool {
        connection.0.is_idle()
    }

    fn open(&self, connection: &H2Connection) -> Option<BoxFuture<()>> {
        let slot = Arc::clone(&connection.0);
        Some(Box::pin(async move {
            // Why it failed is told to the calls that come.
            let _ = slot.opened().await;
        }))
    }
}

impl fmt::Debug for H2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("H2")
            .field("authority", &self.authority)
            .field("user_agent", &self.user_agent)
            .field("keepalive", &self.keepalive)
            .finish_non_exhaustive()
    }
}

/// A connection to one node, opened when it is needed, and again when it has ended. Clones share it.
#[derive(Clone)]
pub struct H2Connection(Arc<Slot>);

impl H2Connection {
    /// Waits until it is open: for the dial under way, or for a new one.
    ///
    /// # Errors
    /// If it cannot be opened, or is not tried again yet.
    pub fn opened(&self) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        Arc::clone(&self.0).opened()
    }
}

impl Service<Request<Body>> for H2Connection {
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> ResponseFuture {
        ResponseFuture::new(&self.0, request)
    }
}

impl fmt::Debug for H2Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("H2Connection").field(&self.0).finish()
    }
}
