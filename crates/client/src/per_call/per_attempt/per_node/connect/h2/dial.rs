//! What is opened to reach a node.

use std::{fmt, future::Future, io};

use http::Uri;
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tower::ServiceExt;
use tower_micro_call::{BoxError, BoxFuture};
use tower_micro_registry::Node;

/// What carries bytes both ways.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Io for T {}

/// What a dial gives.
pub type Dialled = Box<dyn Io>;

/// Opens what carries the bytes of a connection: [`Tcp`], `Unix`, or a function of the [`Node`] that returns whatever reads and writes.
///
/// It need not keep time: the connect timeout is kept around it, and the future is dropped when it has passed. A dial that panics has
/// failed, like one that returns an error.
///
/// # Example
/// A node in the same process:
/// ```
/// use std::io;
/// use tokio::io::{DuplexStream, duplex};
/// use tokio::sync::mpsc;
/// use tower_micro_client::connect::H2;
/// use tower_micro_registry::Node;
///
/// // The other end serves what comes: `serve_with_incoming`.
/// let (incoming, _server) = mpsc::unbounded_channel::<DuplexStream>();
/// let connect = H2::new().dial(move |_: &Node| {
///     let (near, far) = duplex(64 * 1024);
///     let sent = incoming.send(far);
///     async { sent.map(|()| near).map_err(|_| io::ErrorKind::ConnectionRefused.into()) }
/// });
/// ```
pub trait Dial: Send + Sync + 'static {
    /// Dials `node`.
    fn dial(&self, node: &Node) -> BoxFuture<io::Result<Dialled>>;

    /// Whether `node` has an address that can be dialled, asked once before the first dial.
    ///
    /// # Errors
    /// If no dial could succeed.
    fn check(&self, node: &Node) -> Result<(), BoxError> {
        let _ = node;
        Ok(())
    }
}

impl<F, Fut, T> Dial for F
where
    F: Fn(&Node) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = io::Result<T>> + Send + 'static,
    T: Io,
{
    fn dial(&self, node: &Node) -> BoxFuture<io::Result<Dialled>> {
        let dialling = self(node);
        Box::pin(async { Ok(Box::new(dialling.await?) as Dialled) })
    }
}

/// Dials the node's address over TCP, without Nagle's delay. Of a name with addresses of both kinds, both are tried (RFC 8305).
#[derive(Clone)]
pub struct Tcp(HttpConnector);

impl Default for Tcp {
    fn default() -> Self {
        Self::new()
    }
}

impl Tcp {
    /// The default.
    pub fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        Self(connector)
    }
}

impl Dial for Tcp {
    fn dial(&self, node: &Node) -> BoxFuture<io::Result<Dialled>> {
        let uri = Uri::builder()
            .scheme("http")
            .authority(node.address.as_str())
            .path_and_query("/")
            .build();
        let connector = self.0.clone();
        Box::pin(async move {
            let uri =
                uri.map_err(|invalid| io::Error::new(io::ErrorKind::InvalidInput, invalid))?;
            let socket = connector.oneshot(uri).await.map_err(io::Error::other)?;
            Ok(Box::new(TokioIo::into_inner(socket)) as Dialled)
        })
    }

    fn check(&self, node: &Node) -> Result<(), BoxError> {
        Ok(node.check_address()?)
    }
}

impl fmt::Debug for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tcp")
    }
}

/// Dials one Unix-domain socket, whatever the address of the node. A registry cannot point to one.
///
/// # Example
/// ```
/// use tower_micro_client::connect::{H2, Unix};
///
/// let connect = H2::new().dial(Unix::new("/run/greeter.sock")).authority("greeter.local")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[cfg(unix)]
#[derive(Clone, Debug)]
pub struct Unix(std::path::PathBuf);

#[cfg(unix)]
impl Unix {
    /// The socket at `path`.
    pub fn new(path: impl Into<std::path::PathBuf>) -> Self {
        Self(path.into())
    }
}

#[cfg(unix)]
impl Dial for Unix {
    fn dial(&self, _: &Node) -> BoxFuture<io::Result<Dialled>> {
        let path = self.0.clone();
        Box::pin(async { Ok(Box::new(tokio::net::UnixStream::connect(path).await?) as Dialled) })
    }
}
