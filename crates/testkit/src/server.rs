//! A real tonic server on a free port of 127.0.0.1.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use http::{Request, Response};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
    task::JoinHandle,
};
use tokio_stream::{StreamExt, wrappers::TcpListenerStream};
use tonic::{
    body::Body,
    server::NamedService,
    service::Routes,
    transport::{Server, server::Router},
};
use tower_layer::Layer;
use tower_micro_call::BoxError;
use tower_micro_registry::Node;
use tower_service::Service;

use crate::mortal::mortal;

/// A server that runs until it is killed or dropped.
#[derive(Debug)]
pub struct TestServer {
    id: String,
    address: SocketAddr,
    alive: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl TestServer {
    /// Serves `service` as node `id`.
    ///
    /// # Errors
    /// If no port can be bound.
    pub async fn start<S, RB>(id: impl Into<String>, service: S) -> io::Result<Self>
    where
        S: Service<Request<Body>, Response = Response<RB>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
        RB: http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        Self::serve(id, Server::builder().add_service(service)).await
    }

    /// Serves what `router` routes as node `id`, inside of its layers.
    ///
    /// # Errors
    /// If no port can be bound.
    pub async fn serve<L, RB>(id: impl Into<String>, router: Router<L>) -> io::Result<Self>
    where
        L: Layer<Routes> + Send + 'static,
        L::Service: Service<
                Request<Body>,
                Response = Response<RB>,
                Future: Send,
                Error: Into<BoxError> + Send,
            > + Clone
            + Send
            + 'static,
        RB: http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (alive, watch) = watch::channel(true);
        let incoming = TcpListenerStream::new(listener);
        let incoming =
            incoming.map(move |socket| socket.map(|socket| mortal(socket, watch.clone())));
        let task = tokio::spawn(async move {
            // A server that ends early shows in the test that calls it.
            let _ = router.serve_with_incoming(incoming).await;
        });
        let id = id.into();
        Ok(Self {
            id,
            address,
            alive,
            task,
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// As a registry lists it.
    pub fn node(&self) -> Node {
        Node::new(&self.id, self.address.to_string())
    }

    /// Ends it as `kill -9` would: the listener is gone and every connection breaks.
    pub fn kill(&self) {
        self.task.abort();
        self.alive.send_replace(false);
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Ports at which nobody listens, and nobody else can.
static CLOSED: Mutex<Vec<TcpSocket>> = Mutex::new(Vec::new());

/// An address at which nothing listens as long as the program runs: a port that was free again would soon be that of another server.
///
/// # Errors
/// If no port can be bound.
pub async fn closed_port() -> io::Result<String> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    let address = socket.local_addr()?.to_string();
    let mut closed = CLOSED.lock().unwrap_or_else(PoisonError::into_inner);
    closed.push(socket);
    Ok(address)
}
