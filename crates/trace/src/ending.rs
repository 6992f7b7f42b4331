//! How the end of a request is written on its span.
//!
//! Once, at the end: a status that was set too early cannot be taken back, and success leaves it unset, as the conventions ask. The
//! span is entered to do so, since its end is the last moment at which it was left. Numbers are recorded as `i64`: any other
//! integer would arrive as text.

use tonic::Code;
use tower_micro_call::{Disposition, Error, Kind};
use tower_micro_observe::{Answered, Ending};
use tower_micro_selector::Candidate;
use tracing::Span;

use crate::attributes;

/// Longer texts are cut: a node may say anything.
const LONGEST: usize = 256;

/// The end of a call or an attempt: anything but OK is an error.
pub(crate) fn of_client(span: &Span, code: Code, ending: &Ending<'_>) {
    span.in_scope(|| {
        span.record(attributes::STATUS_CODE, name(code));
        match ending {
            Ending::Ok | Ending::Status(Code::Ok) => {}
            Ending::Failed(error) => {
                span.record(attributes::ERROR_TYPE, type_of(error));
                failed(span, cut(error.status().message()));
            }
            Ending::Dropped { .. } if code == Code::DeadlineExceeded => {
                span.record(attributes::ERROR_TYPE, "deadline");
                failed(span, "the call's deadline passed");
            }
            Ending::Dropped { .. } => {
                span.record(attributes::ERROR_TYPE, name(code));
                failed(span, "the caller let go of it");
            }
            _ => {
                span.record(attributes::ERROR_TYPE, name(code));
                failed(span, "");
            }
        }
    });
}

/// The end of a handler: only what is the server's fault is an error.
pub(crate) fn of_server(span: &Span, ending: &Ending<'_>) {
    let code = ending.code();
    span.in_scope(|| {
        span.record(attributes::STATUS_CODE, name(code));
        if is_servers_fault(code) {
            let kind = match ending {
                Ending::Broken(kind) => kind,
                _ => name(code),
            };
            span.record(attributes::ERROR_TYPE, kind);
            failed(span, "");
        }
    });
}

pub(crate) fn failed(span: &Span, description: &str) {
    span.record("otel.status_code", "ERROR");
    if !description.is_empty() {
        span.record("otel.status_description", description);
    }
}

/// Semantic conventions for gRPC, server spans.
const fn is_servers_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// What answered, and after how many attempts.
pub(crate) fn answered(span: &Span, answered: &Answered) {
    if let Some(node) = &answered.node {
        peer(span, node);
    }
    attempts(span, answered.attempts);
}

/// What a call failed on.
pub(crate) fn failed_on(span: &Span, error: &Error) {
    if let Some(node) = error.node() {
        peer(span, node);
    }
    attempts(span, error.attempts());
}

fn attempts(span: &Span, attempts: u32) {
    if attempts > 1 {
        span.record(attributes::ATTEMPTS, i64::from(attempts));
    }
}

fn peer(span: &Span, node: &Candidate) {
    let (host, port) = host_and_port(&node.address);
    span.record(attributes::NODE, &*node.id);
    span.record(attributes::PEER_ADDRESS, host);
    if let Some(port) = port {
        span.record(attributes::PEER_PORT, i64::from(port));
    }
}

/// The parts of `host:port` or `[v6]:port`.
pub(crate) fn host_and_port(address: &str) -> (&str, Option<u16>) {
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()),
        None => (address, None),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    (bare.unwrap_or(host), port)
}

/// A node that failed says so by its code; a failure of this side by its kind.
pub(crate) fn type_of(error: &Error) -> &'static str {
    match error.kind() {
        Kind::Connect => "connect",
        Kind::Transport => "transport",
        Kind::Select => "no_nodes",
        Kind::Deadline => "deadline",
        Kind::AttemptTimeout => "attempt_timeout",
        Kind::Backoff => "backoff",
        Kind::Request => "request",
        Kind::Panic => "panic",
        _ => name(error.code()),
    }
}

pub(crate) fn disposition(error: &Error) -> &'static str {
    match error.disposition() {
        Disposition::NeverSent => "never_sent",
        Disposition::Unprocessed => "unprocessed",
        Disposition::Processed => "processed",
        _ => "unknown",
    }
}

fn cut(text: &str) -> &str {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

/// A code as the conventions spell it.
pub(crate) const fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_falls_into_host_and_port() {
        assert_eq!(host_and_port("10.0.0.7:80"), ("10.0.0.7", Some(80)));
        assert_eq!(host_and_port("[::1]:80"), ("::1", Some(80)));
        assert_eq!(host_and_port("host"), ("host", None));
    }

    #[test]
    fn a_long_text_is_cut_between_letters() {
        let text = "ä".repeat(LONGEST + 1);
        assert_eq!(cut(&text).chars().count(), LONGEST);
        assert_eq!(cut("short"), "short");
    }
}
