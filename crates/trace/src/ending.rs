//! What is known of a request when it has ended.
//!
//! It is written once, at the end: a status that was set too early cannot be taken back, and success leaves it unset, as the
//! conventions ask. Numbers are `i64`: any other integer would arrive as text.

use opentelemetry::KeyValue;
use tonic::Code;
use tower_micro_call::Error;
use tower_micro_observe::{
    Ending,
    words::{self, error_type},
};
use tower_micro_selector::Candidate;
use tracing::{Span, record_all};

use crate::attributes;

/// Longer texts are cut: a node may say anything.
const LONGEST: usize = 256;

/// What is known of a request when it has ended.
#[derive(Debug, Default)]
pub(crate) struct Last<'a> {
    code: &'static str,
    error_type: Option<&'static str>,
    /// If it has failed: why. May be empty.
    pub(crate) failure: Option<&'a str>,
    pub(crate) disposition: Option<&'static str>,
    /// How many attempts it took, and where the last one went.
    pub(crate) attempts: u32,
    pub(crate) node: Option<&'a Candidate>,
}

/// What has failed, in an attempt that comes to `code`: a node that cancels when the time is up has not failed otherwise.
pub(crate) fn kind_of_attempt(code: Code, error: &Error) -> &'static str {
    if code == error.code() {
        error_type(error)
    } else {
        "deadline"
    }
}

impl<'a> Last<'a> {
    /// The end of a call or an attempt: anything but OK is an error.
    pub(crate) fn of_client(code: Code, ending: &Ending<'a>) -> Self {
        let (error_type, failure) = match ending {
            Ending::Ok | Ending::Status(Code::Ok) => (None, None),
            Ending::Failed(error) => {
                let kind = kind_of_attempt(code, error);
                (Some(kind), Some(cut(error.status().message())))
            }
            Ending::Dropped { .. } if code == Code::DeadlineExceeded => {
                (Some("deadline"), Some("the call's deadline passed"))
            }
            Ending::Dropped { .. } => (Some(words::code(code)), Some("the caller let go of it")),
            Ending::Panicked => (ending.broken(), Some("a layer panicked")),
            _ => (Some(words::code(code)), Some("")),
        };
        Self {
            code: words::code(code),
            error_type,
            failure,
            ..Self::default()
        }
    }

    /// The end of a handler: only what is the server's fault is an error.
    pub(crate) fn of_server(ending: &Ending<'_>) -> Self {
        let code = ending.code();
        let kind = ending.broken().unwrap_or_else(|| words::code(code));
        let is_fault = words::is_servers_fault(code);
        Self {
            code: words::code(code),
            error_type: is_fault.then_some(kind),
            failure: is_fault.then_some(""),
            ..Self::default()
        }
    }

    /// As attributes: what is one of our own words is not copied.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = KeyValue> {
        let node = self.node;
        let (host, port) = self.peer();
        let own = |key: &'static str, word: &'static str| KeyValue::new(key, word);
        let text = |key: &'static str, text: &str| KeyValue::new(key, text.to_owned());
        let number = |key: &'static str, number: i64| KeyValue::new(key, number);
        let all = [
            Some(own(attributes::STATUS_CODE, self.code)),
            self.error_type
                .map(|kind| own(attributes::ERROR_TYPE, kind)),
            self.disposition
                .map(|kind| own(attributes::DISPOSITION, kind)),
            node.map(|node| text(attributes::NODE, &node.id)),
            host.map(|host| text(attributes::PEER_ADDRESS, host)),
            port.map(|port| number(attributes::PEER_PORT, port)),
            self.many_attempts()
                .map(|count| number(attributes::ATTEMPTS, count)),
        ];
        all.into_iter().flatten()
    }

    /// The same, as fields of `span`, in one visit. What it has no field for is left out.
    pub(crate) fn record(&self, span: &Span) {
        let (host, port) = self.peer();
        record_all!(
            span,
            { attributes::STATUS_CODE } = self.code,
            { attributes::ERROR_TYPE } = self.error_type,
            { attributes::DISPOSITION } = self.disposition,
            { attributes::NODE } = self.node.map(|node| &*node.id),
            { attributes::PEER_ADDRESS } = host,
            { attributes::PEER_PORT } = port,
            { attributes::ATTEMPTS } = self.many_attempts(),
            otel.status_code = self.failure.map(|_| "ERROR"),
            otel.status_description = self.failure.filter(|why| !why.is_empty())
        );
    }

    fn peer(&self) -> (Option<&'a str>, Option<i64>) {
        let peer = self.node.map(|node| host_and_port(&node.address));
        let (host, port) = peer.unzip();
        (host, port.flatten().map(i64::from))
    }

    fn many_attempts(&self) -> Option<i64> {
        (self.attempts > 1).then(|| i64::from(self.attempts))
    }
}

/// The parts of `host:port` or `[v6]:port`. What stands before an `@` may be a password.
pub(crate) fn host_and_port(address: &str) -> (&str, Option<u16>) {
    let address = address.rsplit_once('@').map_or(address, |(_, host)| host);
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
        assert_eq!(host_and_port("me:s3cret@host:80"), ("host", Some(80)));
    }

    #[test]
    fn a_node_that_cancels_when_the_time_is_up_fails_for_want_of_time_alone() {
        let cancelled = tonic::Status::cancelled("too late");
        let error = Error::answered(cancelled, tower_micro_call::Dialect::Grpc);
        let kind = |code| Last::of_client(code, &Ending::Failed(&error)).error_type;
        assert_eq!(kind(Code::DeadlineExceeded), Some("deadline"));
        assert_eq!(kind(Code::Cancelled), Some("CANCELLED"));
    }

    #[test]
    fn a_long_text_is_cut_between_letters() {
        let text = "ä".repeat(LONGEST + 1);
        assert_eq!(cut(&text).chars().count(), LONGEST);
        assert_eq!(cut("short"), "short");
    }
}
