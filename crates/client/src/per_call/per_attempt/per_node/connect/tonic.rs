//! Connections of tonic's own: a lazy [`Channel`] per connection.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Request, Response, Uri, uri::PathAndQuery};
use thiserror::Error as ThisError;
use tonic::transport::{Channel, Endpoint};
use tower_micro_call::{Body, Error, ResponseBody};
use tower_micro_selector::Candidate;
use tower_service::Service;

use super::{
    Connect,
    tie::{Tie, tied},
    unusable,
};

/// Between two pings on a connection.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// For the answer to a ping.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

type Template = dyn Fn(Endpoint) -> Result<Endpoint, tonic::transport::Error> + Send + Sync;

/// Connects with tonic.
///
/// A request stream that goes on when its call has ended is reset.
///
/// The address comes from the registry; what proves a node's identity does not: scheme, `:authority` and TLS come from here.
///
/// # Example
/// ```
/// use tower_micro_client::connect::Tonic;
///
/// let connect = Tonic::new()
///     .authority("http://greeter.internal")?
///     .endpoint(|endpoint| Ok(endpoint.initial_connection_window_size(1 << 20)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Tonic {
    authority: Option<Uri>,
    template: Option<Arc<Template>>,
}

/// An authority that is not `scheme://host[:port]`.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error("`{given}` is not an authority: write `http://name` or `https://name`, without a path")]
pub struct InvalidAuthority {
    given: String,
}

impl Tonic {
    /// Plaintext; the address stands in `:authority`; keepalive every 30 s.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends `authority` in `:authority`, for every node. With `https`, set TLS up in [`endpoint`](Self::endpoint).
    ///
    /// # Errors
    /// If it is not `scheme://host[:port]`.
    pub fn authority(mut self, authority: &str) -> Result<Self, InvalidAuthority> {
        let uri: Option<Uri> = authority.parse().ok();
        let valid = uri.filter(|uri| {
            uri.authority().is_some()
                && matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.path_and_query().is_none_or(|path| path == "/")
        });
        self.authority = Some(valid.ok_or_else(|| InvalidAuthority {
            given: authority.to_owned(),
        })?);
        Ok(self)
    }

    /// Changes the [`Endpoint`] of every connection: TLS, windows, keepalive.
    #[must_use]
    pub fn endpoint(
        mut self,
        template: impl Fn(Endpoint) -> Result<Endpoint, tonic::transport::Error> + Send + Sync + 'static,
    ) -> Self {
        self.template = Some(Arc::new(template));
        self
    }

    fn endpoint_of(&self, address: &str) -> Result<Endpoint, Error> {
        let scheme = self.authority.as_ref().and_then(Uri::scheme_str);
        let uri = Uri::builder()
            .scheme(scheme.unwrap_or("http"))
            .authority(address)
            .path_and_query(PathAndQuery::from_static("/"))
            .build()
            .map_err(|invalid| unusable(address, &invalid))?;
        let endpoint = Endpoint::from(uri)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        let endpoint = match &self.authority {
            Some(authority) => endpoint.origin(authority.clone()),
            None => endpoint,
        };
        match &self.template {
            Some(template) => template(endpoint).map_err(|invalid| unusable(address, &invalid)),
            None => Ok(endpoint),
        }
    }
}

impl Connect for Tonic {
    type Connection = TonicConnection;

    fn connect(
        &self,
        node: &Candidate,
        timeout: Option<Duration>,
    ) -> Result<TonicConnection, Error> {
        node.check_address()
            .map_err(|invalid| unusable(&node.address, &invalid))?;
        let endpoint = self.endpoint_of(&node.address)?;
        let endpoint = match timeout {
            Some(timeout) => endpoint.connect_timeout(timeout),
            None => endpoint,
        };
        Ok(TonicConnection(endpoint.connect_lazy()))
    }
}

impl fmt::Debug for Tonic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tonic")
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

/// One of tonic's channels.
#[derive(Clone, Debug)]
pub struct TonicConnection(Channel);

impl Service<Request<Body>> for TonicConnection {
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_ready(cx).map_err(Error::transport)
    }

    fn call(&mut self, request: Request<Body>) -> ResponseFuture {
        let (request, tie) = tied(request);
        let answer = self.0.call(request);
        ResponseFuture { answer, tie }
    }
}

/// A request under way.
#[derive(Debug)]
pub struct ResponseFuture {
    answer: tonic::transport::channel::ResponseFuture,
    tie: Option<Tie>,
}

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        let response = answer.map_err(Error::transport)?;
        let mut response = response.map(ResponseBody::from);
        if let Some(tie) = self.tie.take() {
            response.body_mut().on_end(Box::new(tie));
        }
        Poll::Ready(Ok(response))
    }
}
