//! Connections of tonic's own: a lazy [`Channel`] per connection.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use http::{
    Request, Response, Uri,
    uri::{Authority, PathAndQuery},
};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use thiserror::Error as ThisError;
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};
use tower::{ServiceExt, util::MapResponse};
use tower_micro_call::{Body, Error, ResponseBody};
use tower_micro_selector::Candidate;
use tower_service::Service;

use crate::BuildError;

use super::{
    Connect, Keepalive,
    gather::Gather,
    tie::{Tie, tied},
    unusable,
};

type Template = dyn Fn(Endpoint) -> Result<Endpoint, tonic::transport::Error> + Send + Sync;

/// Connects with tonic.
///
/// A request stream that goes on when its call has ended is reset. Requests are written together where they come together, unless
/// an [`endpoint`](Tonic::endpoint) is given. The connect timeout of a channel is that of the call for which it was made.
///
/// The address comes from the registry; scheme, `:authority` and TLS come from here. But a node has only to prove that it is the host of
/// its address, unless TLS is given a `domain_name`: see [`endpoint`](Tonic::endpoint). [`H2`](super::H2) with `tls` leaves the registry no
/// say in it.
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

    /// Sends `authority` in `:authority`, for every node. TLS does not verify it: that is for its `domain_name`.
    ///
    /// With `https`, set TLS up in [`endpoint`](Self::endpoint). Whether that is done is checked only where no `endpoint` is given: then no
    /// client is built. With one that sets no TLS up, tonic sends plaintext, unless it has a feature for TLS, with which it does not connect.
    /// Prefer [`H2`](super::H2) with `tls`.
    ///
    /// # Errors
    /// If it is not `scheme://host[:port]`.
    pub fn authority(mut self, authority: &str) -> Result<Self, InvalidAuthority> {
        let uri: Option<Uri> = authority.parse().ok();
        let valid = uri.filter(|uri| {
            uri.authority().is_some_and(is_name_and_port)
                && matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.path_and_query().is_none_or(|path| path == "/")
        });
        self.authority = Some(valid.ok_or_else(|| InvalidAuthority {
            given: authority.to_owned(),
        })?);
        Ok(self)
    }

    /// Changes the [`Endpoint`] of every connection: TLS, windows, keepalive.
    ///
    /// TLS is used only with an [`authority`](Self::authority) of `https`, and needs the feature `tls-ring` or `tls-aws-lc`. Set the
    /// `domain_name` of its `ClientTlsConfig`: without one tonic verifies the host of the node's address, and so the registry says who is
    /// believed.
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
        let keepalive = Keepalive::default();
        let endpoint = Endpoint::from(uri)
            .http2_keep_alive_interval(keepalive.interval)
            .keep_alive_timeout(keepalive.timeout)
            .keep_alive_while_idle(keepalive.while_idle);
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

    fn check(&self) -> Result<(), BuildError> {
        let is_https = |uri: &&Uri| uri.scheme_str() == Some("https");
        match self.authority.as_ref().filter(is_https) {
            Some(https) if self.template.is_none() => Err(BuildError::Connections {
                option: "authority",
                given: https.to_string(),
                instead: "set TLS up in `endpoint`, or write `http://`",
            }),
            _ => Ok(()),
        }
    }

    fn connect(
        &self,
        node: &Candidate,
        timeout: Option<Duration>,
    ) -> Result<TonicConnection, Error> {
        self.check()
            .map_err(|invalid| unusable(&node.address, &invalid))?;
        node.check_address()
            .map_err(|invalid| unusable(&node.address, &invalid))?;
        let endpoint = self.endpoint_of(&node.address)?;
        let is_template = self.template.is_some();
        Ok(TonicConnection::new(move || {
            let endpoint = endpoint.clone();
            match (is_template, timeout) {
                // What a template says of sockets is known to tonic's own connector only.
                (true, Some(timeout)) => endpoint.connect_timeout(timeout).connect_lazy(),
                (true, None) => endpoint.connect_lazy(),
                (false, timeout) => endpoint.connect_with_connector_lazy(gathering(timeout)),
            }
        }))
    }
}

/// Whether it names a host, and nothing else but a port.
fn is_name_and_port(authority: &Authority) -> bool {
    let is_alone = authority.host().len() == authority.as_str().len();
    let has_port = authority.port_u16().is_some() && !authority.as_str().contains('@');
    is_alone || has_port
}

type Gathering = MapResponse<HttpConnector, fn(TokioIo<TcpStream>) -> TokioIo<Gather<TcpStream>>>;

/// As tonic's own connector is, unless it is told otherwise, but for what is written together.
fn gathering(timeout: Option<Duration>) -> Gathering {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(timeout);
    connector.map_response(|socket| TokioIo::new(Gather::new(socket.into_inner())))
}

impl fmt::Debug for Tonic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tonic")
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

/// One of tonic's channels. Clones share it.
#[derive(Clone, Debug)]
pub struct TonicConnection(Arc<Shared>);

/// A channel reserves a place in its queue in a box of its own, which each clone makes anew: so one is used again and again.
struct Shared {
    make: Box<dyn Fn() -> Channel + Send + Sync>,
    /// For whoever has to wait, be it for the one that is used.
    channel: Mutex<Channel>,
    used: Mutex<Channel>,
}

impl TonicConnection {
    fn new(make: impl Fn() -> Channel + Send + Sync + 'static) -> Self {
        let channel = make();
        Self(Arc::new(Shared {
            make: Box::new(make),
            used: Mutex::new(channel.clone()),
            channel: Mutex::new(channel),
        }))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

impl Service<Request<Body>> for TonicConnection {
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> ResponseFuture {
        let (request, tie) = tied(request);
        let phase = self.0.start(request);
        ResponseFuture { phase, tie }
    }
}

impl Shared {
    fn start(&self, request: Request<tonic::body::Body>) -> Phase {
        let mut context = Context::from_waker(Waker::noop());
        if let Ok(mut used) = self.used.try_lock()
            && let Poll::Ready(ready) = used.poll_ready(&mut context)
        {
            if ready.is_ok() {
                return Phase::Answering(used.call(request));
            }
            // The task of a channel ends with its runtime, and then it takes no request for ever.
            *used = (self.make)();
            *self.waited_for() = used.clone();
        }
        Phase::Readying(Box::new((self.waited_for().clone(), Some(request))))
    }

    fn waited_for(&self) -> MutexGuard<'_, Channel> {
        self.channel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way.
pub struct ResponseFuture {
    phase: Phase,
    tie: Option<Tie>,
}

enum Phase {
    /// The channel's queue is full, or another thread has it.
    Readying(Box<(Channel, Option<Request<tonic::body::Body>>)>),
    Answering(tonic::transport::channel::ResponseFuture),
}

/// Keeps to itself what a request says that waits.
impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.phase {
            Phase::Readying(_) => "Readying",
            Phase::Answering(_) => "Answering",
        })
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            let answer = match &mut this.phase {
                Phase::Readying(waiting) => {
                    let (channel, request) = &mut **waiting;
                    ready!(channel.poll_ready(cx)).map_err(Error::transport)?;
                    channel.call(request.take().expect("kept until it is sent"))
                }
                Phase::Answering(answer) => {
                    let answer = ready!(Pin::new(answer).poll(cx));
                    let response = answer.map_err(Error::transport)?;
                    let mut response = response.map(ResponseBody::from);
                    if let Some(tie) = this.tie.take() {
                        response.body_mut().on_end(Box::new(tie));
                    }
                    return Poll::Ready(Ok(response));
                }
            };
            this.phase = Phase::Answering(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, io};

    use hyper_util::rt::TokioIo;
    use tokio::{io::DuplexStream, runtime};
    use tonic::Code;
    use tower::service_fn;
    use tower_micro_call::Disposition;

    use super::*;

    /// A channel to nobody.
    fn channel() -> Channel {
        let nobody = service_fn(|_: Uri| async {
            let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
            Err::<TokioIo<DuplexStream>, _>(refused)
        });
        Endpoint::from_static("http://a:1").connect_with_connector_lazy(nobody)
    }

    #[tokio::test]
    async fn a_call_waits_for_no_other_that_uses_the_handle() {
        let mut connection = TonicConnection::new(channel);
        let shared = connection.clone();
        let used = shared.0.used.lock().unwrap();
        let beside = connection.call(Request::default());
        drop(used);
        assert!(matches!(beside.phase, Phase::Readying(_)));
        let alone = connection.call(Request::default());
        assert!(matches!(alone.phase, Phase::Answering(_)));
        for call in [beside, alone] {
            assert_eq!(call.await.unwrap_err().code(), Code::Unavailable);
        }
    }

    #[test]
    fn a_request_that_waits_when_the_runtime_of_its_channel_ends_was_never_sent() {
        let endless = || {
            let dial = service_fn(|_: Uri| pending::<io::Result<TokioIo<DuplexStream>>>());
            Endpoint::from_static("http://a:1").connect_with_connector_lazy(dial)
        };
        let [first, second] = [(); 2].map(|()| runtime::Builder::new_current_thread().build());
        let (first, second) = (first.unwrap(), second.unwrap());
        let entered = first.enter();
        let mut connection = TonicConnection::new(endless);
        drop(entered);
        let call = connection.call(Request::default());
        drop(first);
        let error = second.block_on(call).unwrap_err();
        assert_eq!(error.disposition(), Disposition::NeverSent, "{error:?}");
    }
}
