//! A span for each HTTP request that a server handles, under the span that the caller sent.
//!
//! # Place in the stack
//! Outermost on an HTTP server. With axum: `Router::layer`, so that the route is known.
//!
//! # Units and defaults
//! Named `GET /users/{id}` if the route is known, else `GET`. From 500 on a status is an error. The handler, and the body it answers
//! with, run inside of the span. `url.scheme` is that of the request's URI; where that has none, as in HTTP/1.1, it is `http`, whatever
//! stands in front. A request that is let go of before it is answered has no status, and is no error of the server.
//!
//! # Errors
//! None of its own.
//!
//! # Example
//! ```
//! use tower_micro_trace::HttpHandlerTraceLayer;
//!
//! # struct MatchedPath(String);
//! # impl MatchedPath { fn as_str(&self) -> &str { &self.0 } }
//! // with axum::extract::MatchedPath
//! let layer = HttpHandlerTraceLayer::new().route(|extensions| Some(extensions.get::<MatchedPath>()?.as_str()));
//! # let _ = layer;
//! ```

use std::borrow::Cow;

use ::http::{Extensions, Request, Response, StatusCode};
use tower_layer::Layer;
use tower_micro_observe::{Ending, ObserveExchange, Observer, Watch};
use tracing::{Level, Span, field::Empty, span};

use super::{broken, method, original, record_end, verb};
use crate::{Propagation, attributes, ending, handler::Handler, settings::Settings};

/// Where a server's router leaves the route.
type Route = fn(&Extensions) -> Option<&str>;

/// Makes [`HttpHandlerTrace`] services. See the [module docs](self) for an example.
#[derive(Clone, Debug)]
pub struct HttpHandlerTraceLayer {
    settings: Settings,
    route: Route,
}

impl Default for HttpHandlerTraceLayer {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            route: |_| None,
        }
    }
}

impl HttpHandlerTraceLayer {
    /// Every format read, no route.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where the route is to be found in the extensions of a request.
    #[must_use]
    pub const fn route(mut self, route: Route) -> Self {
        self.route = route;
        self
    }

    /// Which formats of the caller's span are read.
    #[must_use]
    pub fn propagation(mut self, propagation: Propagation) -> Self {
        self.settings.propagation = propagation;
        self
    }
}

impl<S> Layer<S> for HttpHandlerTraceLayer {
    type Service = HttpHandlerTrace<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let (settings, route) = (self.settings.clone(), self.route);
        ObserveExchange::new(inner, HttpHandlers { settings, route })
    }
}

/// Makes a span of each request that is handled.
pub type HttpHandlerTrace<S> = ObserveExchange<S, HttpHandlers>;

/// The observer of HTTP handlers.
#[derive(Clone, Debug)]
pub struct HttpHandlers {
    settings: Settings,
    route: Route,
}

impl HttpHandlers {
    fn span<B: 'static>(&self, request: &Request<B>) -> Span {
        let route = (self.route)(request.extensions());
        let verb = verb(request.method());
        let name = || match route {
            Some(route) => Cow::Owned(format!("{verb} {route}")),
            None => Cow::Borrowed(verb),
        };
        span!(
            target: attributes::HANDLER,
            Level::INFO,
            "http handler",
            otel.name = &*name(),
            otel.kind = "server",
            { attributes::HTTP_METHOD } = method(request.method()),
            { attributes::HTTP_METHOD_ORIGINAL } = original(request.method()),
            { attributes::URL_PATH } = ending::cut(request.uri().path()),
            { attributes::URL_SCHEME } = request.uri().scheme_str().unwrap_or("http"),
            { attributes::HTTP_ROUTE } = route,
            { attributes::HTTP_STATUS } = Empty,
            { attributes::ERROR_TYPE } = Empty,
            otel.status_code = Empty,
            otel.status_description = Empty,
        )
    }
}

impl Observer for HttpHandlers {
    type Watch = HttpHandler;

    fn begin<B: 'static>(&self, request: &mut Request<B>) -> Option<HttpHandler> {
        let span = self.span(request);
        let propagation = &self.settings.propagation;
        let handler = Handler::under(span, propagation, request.headers())?;
        let status = None;
        Some(HttpHandler { handler, status })
    }
}

/// An HTTP handler at work.
#[derive(Debug)]
pub struct HttpHandler {
    handler: Handler,
    status: Option<StatusCode>,
}

impl Watch for HttpHandler {
    fn within<T>(&mut self, run: impl FnOnce() -> T) -> T {
        self.handler.within(run)
    }

    fn answered<B: 'static>(&mut self, response: &mut Response<B>) {
        self.status = Some(response.status());
    }

    fn ended(self, ending: Ending<'_>) {
        let Self { handler, status } = self;
        handler.finish(|span| record_end(span, status, 500, broken(&ending, status)));
    }
}
