//! The same for plain HTTP: a client that is a tower service, and an axum server or any other.
//!
//! What goes over the wire is the same as for gRPC, so that one trace runs through both.

pub mod call;
pub mod handler;
mod url;

pub use call::{HttpCall, HttpCallTrace, HttpCallTraceLayer, HttpCalls, UrlTemplate};
pub use handler::{HttpHandler, HttpHandlerTrace, HttpHandlerTraceLayer, HttpHandlers};

use ::http::{Method, StatusCode};
use tracing::Span;

use crate::attributes;

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
        _ => "_OTHER",
    }
}

/// What the name of a span begins with.
fn verb(given: &Method) -> &str {
    match method(given) {
        "_OTHER" => "HTTP",
        known => known,
    }
}

/// Writes the status; `from` is the first one that is an error.
fn record_status(span: &Span, status: StatusCode, from: u16) {
    span.record(attributes::HTTP_STATUS, i64::from(status.as_u16()));
    if status.as_u16() >= from {
        span.record(attributes::ERROR_TYPE, status.as_str());
        crate::ending::failed(span);
    }
}
