//! Certificates that are made for a test, and servers that show them.
//!
//! # Example
//! ```
//! use tower_micro_testkit::tls::Signer;
//!
//! let signer = Signer::new();
//! let identity = signer.identity("greeter.internal");
//! assert!(identity.chain.starts_with("-----BEGIN CERTIFICATE-----"));
//! ```

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

use http::{Request, Response};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
    },
    server::TlsStream,
};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{
    body::Body,
    service::Routes,
    transport::server::{Connected, Router},
};
use tower_layer::Layer;
use tower_micro_call::BoxError;
use tower_service::Service;

/// What signs certificates.
#[derive(Debug)]
pub struct Signer {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, as PEM.
    pub certificate: String,
}

/// A certificate and its key, as PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub chain: String,
    /// Its private key.
    pub key: String,
}

const MADE: &str = "rcgen makes what it is told to";

impl Default for Signer {
    fn default() -> Self {
        Self::new()
    }
}

impl Signer {
    /// One that nobody knows yet.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect(MADE);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect(MADE);
        let certificate = params.self_signed(&key).expect(MADE).pem();
        let issuer = Issuer::new(params, key);
        Self {
            issuer,
            certificate,
        }
    }

    /// A certificate for `name`.
    pub fn identity(&self, name: &str) -> Identity {
        self.signed(CertificateParams::new([name.to_owned()]).expect(MADE))
    }

    /// A certificate for `name` that was good until the end of 2001.
    pub fn expired(&self, name: &str) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).expect(MADE);
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2001, 12, 31);
        self.signed(params)
    }

    fn signed(&self, params: CertificateParams) -> Identity {
        let key = KeyPair::generate().expect(MADE);
        let certificate = params.signed_by(&key, &self.issuer).expect(MADE);
        Identity {
            chain: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

/// How a server speaks TLS.
#[derive(Clone, Debug)]
pub struct Secured {
    identity: Identity,
    alpn: Vec<Vec<u8>>,
    clients: Option<String>,
}

impl Secured {
    /// Shows `identity`, and agrees to HTTP/2.
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            alpn: vec![b"h2".to_vec()],
            clients: None,
        }
    }

    /// Knows nothing of ALPN.
    #[must_use]
    pub fn without_alpn(mut self) -> Self {
        self.alpn.clear();
        self
    }

    /// Wants clients to show a certificate of `signer`'s.
    #[must_use]
    pub fn wanting(mut self, signer: &Signer) -> Self {
        self.clients = Some(signer.certificate.clone());
        self
    }

    fn acceptor(&self) -> TlsAcceptor {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect(MADE);
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(signer) => {
                let mut roots = RootCertStore::empty();
                roots.add(certificate(signer)).expect(MADE);
                let provider = Arc::new(ring::default_provider());
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().expect(MADE))
            }
        };
        let key = PrivateKeyDer::from_pem_slice(self.identity.key.as_bytes()).expect(MADE);
        let chain = vec![certificate(&self.identity.chain)];
        let mut config = builder.with_single_cert(chain, key).expect(MADE);
        config.alpn_protocols.clone_from(&self.alpn);
        TlsAcceptor::from(Arc::new(config))
    }
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect(MADE)
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct TlsServer {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl TlsServer {
    /// Serves what `router` routes on a free port, inside of its layers.
    ///
    /// # Errors
    /// If no port can be bound.
    pub async fn start<L, RB>(router: Router<L>, secured: &Secured) -> io::Result<Self>
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
        let accepted = Arc::new(AtomicUsize::new(0));
        let (incoming, sockets) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(
            listener,
            secured.acceptor(),
            Arc::clone(&accepted),
            incoming,
        ));
        tasks.spawn(async move {
            // A server that ends early shows in the test that calls it.
            let sockets = UnboundedReceiverStream::new(sockets);
            let _ = router.serve_with_incoming(sockets).await;
        });
        Ok(Self {
            address,
            accepted,
            _tasks: tasks,
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were begun.
    pub fn accepted(&self) -> usize {
        self.accepted.load(SeqCst)
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    accepted: Arc<AtomicUsize>,
    incoming: mpsc::UnboundedSender<io::Result<Socket>>,
) {
    let mut handshakes = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        accepted.fetch_add(1, SeqCst);
        let (handshake, incoming) = (acceptor.accept(socket), incoming.clone());
        handshakes.spawn(async move {
            if let Ok(stream) = handshake.await {
                // The server has gone if nobody takes it.
                let _ = incoming.send(Ok(Socket(stream)));
            }
        });
    }
}

struct Socket(TlsStream<TcpStream>);

impl Connected for Socket {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
