//! Names of the headers that the onion writes and reads.

use http::{HeaderMap, HeaderName, HeaderValue};

/// How long the peer has (gRPC PROTOCOL-HTTP2).
pub const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// How many attempts came before this one (gRFC A6).
pub const GRPC_PREVIOUS_RPC_ATTEMPTS: HeaderName =
    HeaderName::from_static("grpc-previous-rpc-attempts");

/// How the call ended (gRPC PROTOCOL-HTTP2).
pub const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// What the peer says of it, percent-encoded.
pub const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// A `google.rpc.Status` in base64.
pub const GRPC_STATUS_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// The whole time of the call in nanoseconds (go-micro `client/grpc/grpc.go`).
pub const TIMEOUT: HeaderName = HeaderName::from_static("timeout");

/// go-micro's copy of the content type.
pub const X_CONTENT_TYPE: HeaderName = HeaderName::from_static("x-content-type");

/// The value of `name`. Where there are few headers, as in a call, looking at each costs less than hashing the name.
#[inline]
pub fn find<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    const FEW: usize = 8;
    if headers.len() > FEW {
        return headers.get(name);
    }
    // A walk over names alone is shorter than one over all values.
    let is_there = headers.keys().any(|there| there == name);
    is_there.then(|| headers.get(name)).flatten()
}
