//! What every request of a connection says of where it goes, and who sends it.

use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Uri, Version,
    header::{CONNECTION, Entry, TRANSFER_ENCODING, UPGRADE, USER_AGENT},
    request::Parts,
    uri::{Authority, Scheme},
};
use thiserror::Error as ThisError;
use tower_micro_call::Body;

/// Something that is no `name[:port]`.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error("`{given}` is not an authority: write `name` or `name:port`")]
pub struct InvalidName {
    given: String,
}

impl InvalidName {
    fn new(given: &str) -> Self {
        let given = given.to_owned();
        Self { given }
    }
}

/// An authority, which names a host and nothing else.
pub(super) fn parsed(text: &str) -> Result<Authority, InvalidName> {
    let authority = text.parse::<Authority>().ok();
    authority
        .filter(|authority| !authority.host().is_empty() && !text.contains('@'))
        .ok_or_else(|| InvalidName::new(text))
}

/// The same for one that was chosen: its port, if it has one, is a port.
pub(super) fn chosen(text: &str) -> Result<Authority, InvalidName> {
    let authority = parsed(text)?;
    if authority.host().len() == text.len() || authority.port_u16().is_some() {
        Ok(authority)
    } else {
        Err(InvalidName::new(text))
    }
}

#[derive(Debug)]
pub(super) struct Origin {
    scheme: Scheme,
    authority: Authority,
    user_agent: HeaderValue,
}

impl Origin {
    pub(super) fn new(is_tls: bool, authority: Authority, user_agent: HeaderValue) -> Self {
        let scheme = if is_tls { Scheme::HTTPS } else { Scheme::HTTP };
        Self {
            scheme,
            authority,
            user_agent,
        }
    }

    /// The head as it goes onto the wire, and the body.
    pub(super) fn write(&self, request: Request<Body>) -> (Request<()>, Body) {
        let (mut head, body) = request.into_parts();
        self.write_uri(&mut head);
        head.version = Version::HTTP_2;
        strip(&mut head.headers);
        self.write_user_agent(&mut head.headers);
        (Request::from_parts(head, ()), body)
    }

    fn write_uri(&self, head: &mut Parts) {
        let mut uri = std::mem::take(&mut head.uri).into_parts();
        uri.scheme = Some(self.scheme.clone());
        uri.authority = Some(self.authority.clone());
        if uri.path_and_query.is_none() {
            uri.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
        }
        head.uri = Uri::from_parts(uri).expect("it has scheme, authority and path");
    }

    /// Behind what the caller says.
    fn write_user_agent(&self, headers: &mut HeaderMap) {
        match headers.entry(USER_AGENT) {
            Entry::Vacant(entry) => {
                entry.insert(self.user_agent.clone());
            }
            Entry::Occupied(mut entry) if entry.get().is_empty() => {
                entry.insert(self.user_agent.clone());
            }
            Entry::Occupied(mut entry) => {
                let both = [entry.get().as_bytes(), b" ", self.user_agent.as_bytes()].concat();
                let both = HeaderValue::from_maybe_shared(bytes::Bytes::from(both));
                entry.insert(both.expect("both are values of headers"));
            }
        }
    }
}

/// HTTP/2 has no place for these (RFC 9113 §8.2.2); they come with metadata that was taken from an HTTP/1 request.
fn strip(headers: &mut HeaderMap) {
    const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
    const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
    for name in [
        CONNECTION,
        TRANSFER_ENCODING,
        UPGRADE,
        KEEP_ALIVE,
        PROXY_CONNECTION,
    ] {
        headers.remove(name);
    }
}
