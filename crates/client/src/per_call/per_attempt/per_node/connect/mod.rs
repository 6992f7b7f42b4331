//! The seam to the wire: how a connection to a node is made.

mod gather;
pub mod h2;
mod tie;
mod tonic;

use std::{fmt, time::Duration};

use ::tonic::Code;
use http::{Request, Response};
use tower_micro_call::{Body, BoxFuture, Error, Kind, ResponseBody};
use tower_micro_registry::without_user;
use tower_micro_selector::Candidate;
use tower_service::Service;

use crate::BuildError;

#[cfg(feature = "tls")]
pub use self::h2::Tls;
#[cfg(unix)]
pub use self::h2::Unix;
pub use self::{
    h2::{Dial, H2, Keepalive, Tcp},
    tonic::{InvalidAuthority, Tonic, TonicConnection},
};

/// Makes connections to nodes.
///
/// [`H2`] is the default, [`Tonic`] puts tonic's own channels in its place. Another one is a test's scripted node.
///
/// Only [`connect`](Self::connect) must be there. The rest tells the pool what it cannot see from outside, so a connector around another
/// hands all of it on: what is left out is as if the connections looked after themselves, each alone.
///
/// Connections are kept by the address of a node, and by nothing else: whatever decides how one is made is to go with the address. A node
/// that is announced anew at the same address, with other metadata, goes on with the connections that it has, and those are opened again as
/// they were at first; two nodes of one address share theirs.
///
/// # Example
/// One connector for most nodes, and another for those that the registry marks, as long as they have that address:
/// ```
/// use std::time::Duration;
/// use tower_micro_call::{BoxFuture, Error};
/// use tower_micro_client::{
///     BuildError,
///     connect::{Connect, H2, State, h2::H2Connection},
/// };
/// use tower_micro_selector::Candidate;
///
/// #[derive(Debug)]
/// struct ByZone {
///     near: H2,
///     far: H2, // say, with TLS and larger windows
/// }
///
/// impl ByZone {
///     fn of(&self, node: &Candidate) -> &H2 {
///         match node.metadata.get("zone").map(String::as_str) {
///             Some("here") => &self.near,
///             _ => &self.far,
///         }
///     }
/// }
///
/// impl Connect for ByZone {
///     type Connection = H2Connection;
///
///     fn check(&self) -> Result<(), BuildError> {
///         self.near.check()?;
///         self.far.check()
///     }
///
///     fn connect(&self, node: &Candidate, timeout: Option<Duration>) -> Result<H2Connection, Error> {
///         self.of(node).connect(node, timeout)
///     }
///
///     fn beside(&self, other: &H2Connection, node: &Candidate, timeout: Option<Duration>) -> Result<H2Connection, Error> {
///         self.of(node).beside(other, node, timeout)
///     }
///
///     fn state(&self, connection: &H2Connection) -> State {
///         self.near.state(connection) // either tells it of any
///     }
///
///     fn is_idle(&self, connection: &H2Connection) -> bool {
///         self.near.is_idle(connection)
///     }
///
///     fn open(&self, connection: &H2Connection) -> Option<BoxFuture<()>> {
///         self.near.open(connection)
///     }
/// }
/// ```
pub trait Connect: fmt::Debug + Send + Sync + 'static {
    /// What sends requests to one node. A clone shares the connection.
    type Connection: Service<
            Request<Body>,
            Response = Response<ResponseBody>,
            Error: Into<Error>,
            Future: Send + 'static,
        > + Clone
        + Send
        + Sync
        + 'static;

    /// Finds settings that cannot work; asked when a client is built.
    ///
    /// # Errors
    /// [`BuildError::Connections`] says what to change.
    fn check(&self) -> Result<(), BuildError> {
        Ok(())
    }

    /// A connection to `node`, opened when it is first used; `timeout` bounds the opening.
    ///
    /// # Errors
    /// If the node's address is not one.
    fn connect(
        &self,
        node: &Candidate,
        timeout: Option<Duration>,
    ) -> Result<Self::Connection, Error>;

    /// One more connection to `node`, where `other` is one already: a call that waits for a stream of the one may be sent on the other.
    ///
    /// # Errors
    /// If the node's address is not one.
    fn beside(
        &self,
        other: &Self::Connection,
        node: &Candidate,
        timeout: Option<Duration>,
    ) -> Result<Self::Connection, Error> {
        let _ = other;
        self.connect(node, timeout)
    }

    /// How far `connection` is. One that looks after itself is always open.
    fn state(&self, connection: &Self::Connection) -> State {
        let _ = connection;
        State::Open {
            streams: usize::MAX,
        }
    }

    /// Whether no call is on `connection`, as far as is known here. The pool knows of the calls that it has given it; one that waited for a
    /// stream of another may be on it, too.
    fn is_idle(&self, connection: &Self::Connection) -> bool {
        let _ = connection;
        true
    }

    /// Opens `connection` before a call needs it, if that can be done. The future is dropped if the connection is not wanted any more.
    fn open(&self, connection: &Self::Connection) -> Option<BoxFuture<()>> {
        let _ = connection;
        None
    }
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It takes calls, so many at a time.
    Open {
        /// What the node allows; none where calls wait for one already.
        streams: usize,
    },
    /// It is being opened, or waits until it may be.
    Waiting,
    /// It has not been opened yet, or has ended; a call opens it.
    Closed,
}

/// An address that cannot be connected to.
fn unusable(address: &str, cause: &dyn fmt::Display) -> Error {
    let address = without_user(address);
    let text = format!("cannot connect to `{address}`: {cause}");
    Error::new(Kind::Request, Code::InvalidArgument, text)
}
