//! Metadata that goes back to where it came from.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use http_body_util::BodyExt;
use tonic::body::Body;
use tower_micro_call::header::GRPC_STATUS;

use super::Response;

/// Sent back with the headers.
const ECHO_INITIAL: HeaderName = HeaderName::from_static("x-grpc-test-echo-initial");
/// Sent back with the trailers.
const ECHO_TRAILING: HeaderName = HeaderName::from_static("x-grpc-test-echo-trailing-bin");

/// The metadata of a request that goes back.
pub(super) struct Echo {
    initial: Option<HeaderValue>,
    trailing: Option<HeaderValue>,
}

impl Echo {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let value = |name| headers.get(name).cloned();
        let (initial, trailing) = (value(ECHO_INITIAL), value(ECHO_TRAILING));
        Self { initial, trailing }
    }

    pub(super) fn add_to(self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        put(headers, ECHO_INITIAL, self.initial);
        if headers.contains_key(GRPC_STATUS) {
            put(headers, ECHO_TRAILING, self.trailing);
            return response;
        }
        response.map(|body| Body::new(body.map_frame(move |frame| with(frame, &self.trailing))))
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        headers.insert(name, value);
    }
}

fn with(frame: Frame<Bytes>, trailing: &Option<HeaderValue>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            put(&mut trailers, ECHO_TRAILING, trailing.clone());
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}
