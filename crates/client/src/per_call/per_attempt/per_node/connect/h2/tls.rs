//! TLS, by rustls over ring.

use std::{fmt, io, net::Ipv6Addr, sync::Arc};

use http::uri::Authority;
use thiserror::Error as ThisError;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{
            CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName,
            pem::{self, PemObject},
        },
    },
};

use super::{
    dial::Dialled,
    failure::Failure,
    origin::{self, InvalidName},
};

const H2: &[u8] = b"h2";

/// Who a node must prove to be, and who we are. The registry has no say in it.
///
/// A node must agree to HTTP/2 by ALPN.
///
/// # Example
/// ```
/// use tower_micro_client::connect::{H2, Tls};
///
/// # fn connect(ca: &[u8], chain: &[u8], key: &[u8]) -> Result<H2, Box<dyn std::error::Error>> {
/// let tls = Tls::new("greeter.internal", ca)?; // what certificates name, and who signs them
/// let tls = tls.identity(chain, key)?; // mTLS
/// Ok(H2::new().tls(tls))
/// # }
/// ```
#[derive(Clone)]
pub struct Tls {
    name: ServerName<'static>,
    authority: Authority,
    /// None if the configuration is the user's own.
    roots: Option<Arc<RootCertStore>>,
    config: Arc<ClientConfig>,
}

/// TLS settings with which no connection could succeed.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum InvalidTls {
    /// Not a name that could stand in a certificate.
    #[error(
        "a certificate cannot name this: {0}; give a name or an IP address alone, as in `greeter.internal`, without a scheme or a port"
    )]
    Name(#[from] InvalidDnsNameError),
    /// Not a name that could stand in `:authority`.
    #[error(transparent)]
    Authority(#[from] InvalidName),
    /// Not PEM, or not of what it should be.
    #[error("{what} cannot be read: {source}; give it as PEM")]
    Pem {
        /// Of what.
        what: &'static str,
        /// What the reader says.
        source: pem::Error,
    },
    /// PEM without a certificate.
    #[error("{what} holds no certificate; give it as PEM")]
    Empty {
        /// Of what.
        what: &'static str,
    },
    /// An identity beside rustls' own configuration.
    #[error("the identity belongs into rustls' configuration: give it there")]
    Own,
    /// Certificates or a key that rustls does not take.
    #[error("rustls does not take {what}: {source}")]
    Refused {
        /// Of what.
        what: &'static str,
        /// What it says.
        source: tokio_rustls::rustls::Error,
    },
}

impl Tls {
    /// Nodes prove to be `name`, with a certificate that one of `authorities` (PEM) has signed.
    ///
    /// # Errors
    /// If no certificate could name it, or `authorities` holds no certificate.
    pub fn new(name: &str, authorities: &[u8]) -> Result<Self, InvalidTls> {
        const WHAT: &str = "the certificates of authorities";
        let mut roots = RootCertStore::empty();
        for certificate in certificates(WHAT, authorities)? {
            let refused = |source| InvalidTls::Refused { what: WHAT, source };
            roots.add(certificate).map_err(refused)?;
        }
        let roots = Arc::new(roots);
        let config = builder(&roots)?.with_no_client_auth();
        Self::with_config(name, Some(roots), config)
    }

    /// The same with rustls' own configuration: other roots, a verifier, a resolver of client certificates. ALPN is set here.
    ///
    /// # Errors
    /// If no certificate could name `name`.
    pub fn with_rustls(name: &str, config: ClientConfig) -> Result<Self, InvalidTls> {
        Self::with_config(name, None, config)
    }

    fn with_config(
        name: &str,
        roots: Option<Arc<RootCertStore>>,
        mut config: ClientConfig,
    ) -> Result<Self, InvalidTls> {
        config.alpn_protocols = vec![H2.to_vec()];
        Ok(Self {
            name: ServerName::try_from(name.to_owned())?,
            authority: authority(name)?,
            roots,
            config: Arc::new(config),
        })
    }

    /// Proves to nodes who we are, with a certificate chain and its private key (PEM).
    ///
    /// # Errors
    /// If either cannot be read, the key is not the certificate's, or the configuration is [rustls' own](Self::with_rustls).
    pub fn identity(mut self, chain: &[u8], key: &[u8]) -> Result<Self, InvalidTls> {
        let roots = self.roots.as_ref().ok_or(InvalidTls::Own)?;
        let chain = certificates("the client's certificate", chain)?;
        let what = "the client's key";
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|source| InvalidTls::Pem { what, source })?;
        let config = builder(roots)?.with_client_auth_cert(chain, key);
        let mut config = config.map_err(|source| InvalidTls::Refused { what, source })?;
        config.alpn_protocols = vec![H2.to_vec()];
        self.config = Arc::new(config);
        Ok(self)
    }

    pub(super) fn authority(&self) -> Authority {
        self.authority.clone()
    }

    /// TLS over what was dialled.
    pub(super) async fn secure(&self, io: Dialled) -> Result<Dialled, Failure> {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let secured: io::Result<_> = connector.connect(self.name.clone(), io).await;
        let secured = secured.map_err(Failure::Tls)?;
        if secured.get_ref().1.alpn_protocol() != Some(H2) {
            return Err(Failure::NoAlpn);
        }
        Ok(Box::new(secured))
    }
}

/// Of an IPv6 address in brackets, which a certificate names without.
fn authority(name: &str) -> Result<Authority, InvalidName> {
    match name.parse::<Ipv6Addr>() {
        Ok(address) => origin::parsed(&format!("[{address}]")),
        Err(_) => origin::parsed(name),
    }
}

type Builder = tokio_rustls::rustls::ConfigBuilder<
    ClientConfig,
    tokio_rustls::rustls::client::WantsClientCert,
>;

/// One provider, chosen here: rustls would panic if a program had two and none of them were the default.
fn builder(roots: &Arc<RootCertStore>) -> Result<Builder, InvalidTls> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let what = "its own protocol versions";
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|source| InvalidTls::Refused { what, source })?;
    Ok(builder.with_root_certificates(Arc::clone(roots)))
}

fn certificates(
    what: &'static str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, InvalidTls> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|source| InvalidTls::Pem { what, source })?;
    if read.is_empty() {
        return Err(InvalidTls::Empty { what });
    }
    Ok(read)
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
