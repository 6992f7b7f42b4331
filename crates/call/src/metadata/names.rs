//! Which headers may be metadata. All names here are lower-case.

/// Whether a name belongs to gRPC or HTTP, and not to the user.
///
/// gRPC's own (PROTOCOL-HTTP2, "Custom-Metadata"; grpc-go drops the same ones), and what speaks of one connection or
/// one body (RFC 9110 §7.6.1): with one of those, HTTP/2 refuses the whole call.
pub(super) fn is_reserved(name: &str) -> bool {
    name.starts_with(':')
        || name.starts_with("grpc-")
        || matches!(
            name,
            "connection"
                | "content-encoding"
                | "content-length"
                | "content-type"
                | "expect"
                | "host"
                | "keep-alive"
                | "proxy-connection"
                | "te"
                | "trailer"
                | "transfer-encoding"
                | "upgrade"
                | "user-agent"
        )
}

/// Whether a header that came in goes on with the calls that follow: not what was meant for this hop alone.
///
/// go-micro writes `timeout` and `x-content-type` anew for every call (go-micro v2 `client/grpc/grpc.go`).
pub(super) fn is_ambient(name: &str) -> bool {
    let is_ours = matches!(name, "timeout" | "x-content-type");
    !is_ours && !is_reserved(name) && !is_binary(name) && is_grpc_name(name)
}

/// gRPC carries such values as base64.
pub(super) fn is_binary(name: &str) -> bool {
    name.ends_with("-bin")
}

/// The letters of PROTOCOL-HTTP2, "Header-Name". HTTP knows more, but grpc-go fails a call for them.
pub(super) fn is_grpc_name(name: &str) -> bool {
    let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    name.bytes().all(allowed)
}

/// PROTOCOL-HTTP2, "ASCII-Value"; empty is allowed, as in go-micro.
pub(super) fn is_printable(value: &[u8]) -> bool {
    value.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Whether a value under this name had better not be seen.
pub(super) fn is_secret(name: &str) -> bool {
    const ENDINGS: [&str; 6] = [
        "authorization",
        "cookie",
        "token",
        "-key",
        "_key",
        "credentials",
    ];
    ENDINGS.iter().any(|ending| name.ends_with(ending))
        || name.contains("password")
        || name.contains("secret")
}
