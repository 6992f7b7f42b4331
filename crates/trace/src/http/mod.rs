//! The same for plain HTTP: a client that is a tower service, and an axum server or any other.
//!
//! What goes over the wire is the same as for gRPC, so that one trace runs through both.

pub mod call;
pub mod handler;
mod url;

pub use call::{HttpCall, HttpCallTrace, HttpCallTraceLayer, HttpCalls, UrlTemplate};
pub use handler::{HttpHandler, HttpHandlerTrace, HttpHandlerTraceLayer, HttpHandlers};

use ::http::{Method, StatusCode};
use tower_micro_observe::{Ending, words};
use tracing::{Span, record_all};

use crate::{attributes, ending::cut};

/// The method, if it is one that everybody knows: anybody can make up names without end.
fn method(method: &Method) -> &str {
    match *method {
        Method::GET
        | Method::POST
        | Method::PUT
        | Method::DELETE
        | Method::HEAD
        | Method::OPTIONS
        | Method::CONNECT
        | Method::PATCH
        | Method::TRACE => method.as_str(),
        _ => attributes::OTHER,
    }
}

/// The method as it was asked for, if [`method`] does not tell.
fn original(given: &Method) -> Option<&str> {
    let told = method(given) == given.as_str();
    (!told).then(|| cut(given.as_str()))
}

/// What the name of a span begins with.
fn verb(given: &Method) -> &str {
    match method(given) {
        attributes::OTHER => "HTTP",
        known => known,
    }
}

/// What kind of failure it was; where there is no answer that may be a gRPC status, which a layer has refused it with.
fn broken(ending: &Ending<'_>, status: Option<StatusCode>) -> Option<&'static str> {
    match ending {
        Ending::Status(code) if status.is_none() => Some(words::code(*code)),
        _ => ending.broken(),
    }
}

/// Writes how an exchange ended, once: a status that is an error, from `errors` on, says more than what broke after it.
fn record_end(span: &Span, status: Option<StatusCode>, errors: u16, broken: Option<&str>) {
    let refused = status.filter(|status| status.as_u16() >= errors);
    let kind = refused.as_ref().map(StatusCode::as_str).or(broken);
    record_all!(
        span,
        { attributes::HTTP_STATUS } = status.map(|status| i64::from(status.as_u16())),
        { attributes::ERROR_TYPE } = kind,
        otel.status_code = kind.map(|_| "ERROR"),
    );
}
