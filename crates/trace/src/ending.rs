//! How the end of a request is written on its span.
//!
//! Once, at the end: a status that was set too early cannot be taken back, and success leaves it unset, as the conventions ask. The
//! span is entered to do so, since its end is the last moment at which it was left. Numbers are recorded as `i64`: any other
//! integer would arrive as text.

use tonic::Code;
use tower_micro_observe::{
    Ending,
    words::{self, error_type},
};
use tower_micro_selector::Candidate;
use tracing::{Span, record_all};

use crate::attributes;

/// Longer texts are cut: a node may say anything.
const LONGEST: usize = 256;

/// The end of a call or an attempt: anything but OK is an error.
pub(crate) fn of_client(span: &Span, code: Code, ending: &Ending<'_>) {
    span.in_scope(|| {
        span.record(attributes::STATUS_CODE, words::code(code));
        match ending {
            Ending::Ok | Ending::Status(Code::Ok) => {}
            Ending::Failed(error) => {
                span.record(attributes::ERROR_TYPE, error_type(error));
                failed(span, cut(error.status().message()));
            }
            Ending::Dropped { .. } if code == Code::DeadlineExceeded => {
                span.record(attributes::ERROR_TYPE, "deadline");
                failed(span, "the call's deadline passed");
            }
            Ending::Dropped { .. } => {
                span.record(attributes::ERROR_TYPE, words::code(code));
                failed(span, "the caller let go of it");
            }
            _ => {
                span.record(attributes::ERROR_TYPE, words::code(code));
                failed(span, "");
            }
        }
    });
}

/// The end of a handler: only what is the server's fault is an error.
pub(crate) fn of_server(span: &Span, ending: &Ending<'_>) {
    let code = ending.code();
    span.in_scope(|| {
        span.record(attributes::STATUS_CODE, words::code(code));
        if words::is_servers_fault(code) {
            let kind = match ending {
                Ending::Broken(kind) => kind,
                _ => words::code(code),
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

/// Where a call ended, and after how many attempts. One record: each costs an allocation.
pub(crate) fn at(span: &Span, attempts: u32, node: Option<&Candidate>) {
    let attempts = (attempts > 1).then(|| i64::from(attempts));
    match node {
        Some(node) => {
            let (host, port) = host_and_port(&node.address);
            record_all!(
                span,
                { attributes::NODE } = &*node.id,
                { attributes::PEER_ADDRESS } = host,
                { attributes::PEER_PORT } = port.map(i64::from),
                { attributes::ATTEMPTS } = attempts
            );
        }
        None => record_all!(span, { attributes::ATTEMPTS } = attempts),
    }
}

/// The parts of `host:port` or `[v6]:port`.
pub(crate) fn host_and_port(address: &str) -> (&str, Option<u16>) {
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()),
        None => (address, None),
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    (bare.unwrap_or(host), port)
}

pub(crate) fn cut(text: &str) -> &str {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => &text[..end],
        None => text,
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
