//! What the headers of an answer say of its end.

use http::{HeaderMap, Response, StatusCode, header};
use http_body::Body;
use tonic::Code;
use tower_micro_call::status::of_http;

/// What ends an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum EndsWith {
    /// A gRPC status in its trailers.
    Trailers,
    /// The end of its body.
    Body {
        /// So many bytes are to come, if that is known.
        left: Option<u64>,
        /// What it then comes to.
        code: Code,
    },
}

impl EndsWith {
    /// How `response` ends, which was `asked` for in gRPC or not.
    pub(crate) fn of<B: Body>(response: &Response<B>, asked: bool) -> Self {
        if is_grpc(response.headers()) && !is_grpc_web(response.headers()) {
            return Self::Trailers;
        }
        let length = response.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let left = length.or_else(|| response.body().size_hint().exact());
        let is_foreign = asked && !is_grpc(response.headers());
        let code = match response.status() {
            status if is_foreign && status != StatusCode::OK => of_http(status),
            _ => Code::Ok,
        };
        Self::Body { left, code }
    }

    /// So many bytes have come. Says whether they were the last.
    pub(crate) fn come(&mut self, bytes: usize) -> bool {
        match self {
            Self::Trailers | Self::Body { left: None, .. } => false,
            Self::Body {
                left: Some(left), ..
            } => {
                *left = left.saturating_sub(bytes as u64);
                *left == 0
            }
        }
    }
}

/// The `grpc-status` among the headers of an answer in gRPC.
pub(crate) fn status_at_once(headers: &HeaderMap) -> Option<Code> {
    status(headers).filter(|_| is_grpc(headers))
}

/// Whether a request or an answer with these `headers` is in gRPC, or in gRPC-Web.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    is_of_type(headers, "application/grpc")
}

/// gRPC-Web writes its trailers into the body.
fn is_grpc_web(headers: &HeaderMap) -> bool {
    is_of_type(headers, "application/grpc-web")
}

fn is_of_type(headers: &HeaderMap, start: &str) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE);
    content_type.is_some_and(|given| given.as_bytes().starts_with(start.as_bytes()))
}

/// The `grpc-status` among headers or trailers.
pub(crate) fn status(headers: &HeaderMap) -> Option<Code> {
    let status = headers.get("grpc-status")?;
    Some(Code::from_bytes(status.as_bytes()))
}
