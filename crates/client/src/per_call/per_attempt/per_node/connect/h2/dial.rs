//! What is opened to reach a node.

use std::{future::Future, io};

use tokio::io::{AsyncRead, AsyncWrite};
use tower_micro_call::{BoxError, BoxFuture};
use tower_micro_registry::Node;

#[cfg(doc)]
use super::Tcp;

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

    /// What is told of `node` when the connect timeout has passed before the dial has ended: a phrase without a full stop.
    fn silence(&self, node: &Node) -> &'static str {
        let _ = node;
        "what is dialled does not answer"
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
        Box::pin(async {
            let socket = tokio::net::UnixStream::connect(&path).await;
            let unreachable = |source: io::Error| {
                let kind = source.kind();
                io::Error::new(kind, UnreachableSocket { path, source })
            };
            Ok(Box::new(socket.map_err(unreachable)?) as Dialled)
        })
    }
}

/// The node's address does not tell what was dialled.
#[cfg(unix)]
#[derive(Debug, thiserror::Error)]
#[error("`{}`", path.display())]
struct UnreachableSocket {
    path: std::path::PathBuf,
    source: io::Error,
}
