//! The seam to the wire: how a connection to a node is made.

mod tie;
mod tonic;

use std::{fmt, time::Duration};

use http::{Request, Response};
use tower_micro_call::{Body, Error, ResponseBody};
use tower_micro_selector::Candidate;
use tower_service::Service;

pub use self::tonic::{InvalidAuthority, Tonic};

/// Makes connections to nodes.
///
/// [`Tonic`] is the default. Another one is a test's scripted node, a Unix socket, a process of its own.
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

    /// A connection to `node`, opened when it is first used; `timeout` bounds the opening.
    ///
    /// # Errors
    /// If the node's address is not one.
    fn connect(
        &self,
        node: &Candidate,
        timeout: Option<Duration>,
    ) -> Result<Self::Connection, Error>;
}
