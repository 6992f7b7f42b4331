//! A span for each HTTP request that is sent.
//!
//! # Place in the stack
//! Around an HTTP client. Inside of a layer that sends again: the conventions want a CLIENT span for each send.
//!
//! # Units and defaults
//! Named `GET`, or `GET /users/{id}` if the request has a [`UrlTemplate`]. From 400 on a status is an error. The span ends with the
//! body; a body that is not read to its end is no error. User, password and query of the URL are not recorded.
//!
//! # Errors
//! None of its own.
//!
//! # Example
//! ```
//! use tower_micro_trace::{HttpCallTraceLayer, http::UrlTemplate};
//!
//! let layer = HttpCallTraceLayer::new(); // ServiceBuilder::new().layer(layer).service(client)
//! let mut request = http::Request::new(());
//! request.extensions_mut().insert(UrlTemplate("/users/{id}"));
//! # let _ = layer;
//! ```

use std::borrow::Cow;

use ::http::{Request, Response, StatusCode};
use tower_layer::Layer;
use tower_micro_observe::{Ending, ObserveExchange, Observer, Watch};
use tracing::{Level, Span, field::Empty, span};

use super::{broken, method, original, record_end, url::redacted, verb};
use crate::{Propagation, attributes, settings::Settings, traced::Traced};

/// The path of a request with its parameters by name; an extension of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UrlTemplate(pub &'static str);

/// Makes [`HttpCallTrace`] services. See the [module docs](self) for an example.
#[derive(Clone, Debug, Default)]
pub struct HttpCallTraceLayer {
    settings: Settings,
}

impl HttpCallTraceLayer {
    /// W3C headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// What carries the trace to the server.
    #[must_use]
    pub fn propagation(mut self, propagation: Propagation) -> Self {
        self.settings.propagation = propagation;
        self
    }
}

impl<S> Layer<S> for HttpCallTraceLayer {
    type Service = HttpCallTrace<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let settings = self.settings.clone();
        ObserveExchange::new(inner, HttpCalls { settings })
    }
}

/// Makes a span of each request that is sent.
pub type HttpCallTrace<S> = ObserveExchange<S, HttpCalls>;

/// The observer of requests that are sent.
#[derive(Clone, Debug)]
pub struct HttpCalls {
    settings: Settings,
}

fn name<B>(request: &Request<B>) -> Cow<'_, str> {
    let verb = verb(request.method());
    match request.extensions().get::<UrlTemplate>() {
        Some(UrlTemplate(template)) => Cow::Owned(format!("{verb} {template}")),
        None => Cow::Borrowed(verb),
    }
}

fn span_of<B>(request: &Request<B>) -> Span {
    let uri = request.uri();
    let standard = if uri.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    span!(
        target: attributes::CALL,
        Level::INFO,
        "http call",
        otel.name = &*name(request),
        otel.kind = "client",
        { attributes::HTTP_METHOD } = method(request.method()),
        { attributes::HTTP_METHOD_ORIGINAL } = original(request.method()),
        { attributes::URL_FULL } = &*redacted(uri),
        { attributes::SERVER_ADDRESS } = uri.host(),
        { attributes::SERVER_PORT } = i64::from(uri.port_u16().unwrap_or(standard)),
        { attributes::HTTP_STATUS } = Empty,
        { attributes::ERROR_TYPE } = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

impl Observer for HttpCalls {
    type Watch = HttpCall;

    fn begin<B: 'static>(&self, request: &mut Request<B>) -> Option<HttpCall> {
        let span = span_of(request);
        let propagation = &self.settings.propagation;
        if span.is_disabled() {
            propagation.inject_current(request.headers_mut());
            return None;
        }
        Some(HttpCall {
            traced: Traced::new(span),
            propagation: propagation.clone(),
            status: None,
        })
    }
}

/// A request under way.
#[derive(Debug)]
pub struct HttpCall {
    traced: Traced,
    propagation: Propagation,
    status: Option<StatusCode>,
}

impl Watch for HttpCall {
    fn start<B: 'static, T>(
        &mut self,
        mut request: Request<B>,
        run: impl FnOnce(Request<B>) -> T,
    ) -> T {
        self.traced.start(|cx| {
            self.propagation.inject_headers(cx, request.headers_mut());
            run(request)
        })
    }

    fn within<T>(&mut self, run: impl FnOnce() -> T) -> T {
        self.traced.within(run)
    }

    fn answered<B: 'static>(&mut self, response: &mut Response<B>) {
        self.status = Some(response.status());
    }

    fn ended(self, ending: Ending<'_>) {
        let Self { traced, status, .. } = self;
        let broken = match ending {
            Ending::Dropped { answered: false } => Some("cancelled"),
            _ => broken(&ending, status),
        };
        traced.finish(|span| record_end(span, status, 400, broken));
    }
}
