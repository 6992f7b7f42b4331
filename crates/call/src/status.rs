//! Reads a status out of headers or trailers. Nothing a node sends may panic here or further out.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use tonic::{Code, Status, metadata::MetadataMap};

use crate::header::{GRPC_MESSAGE, GRPC_STATUS, GRPC_STATUS_DETAILS};

/// gRPC peers send base64 with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How the call ended, if `headers` say so: `Ok` for `grpc-status: 0`, the status for any other.
///
/// Takes out of `headers` what would make a reader further out panic: tonic does, on details that are not base64. A status that tonic
/// would read as another is written over with what was read here, so that everybody sees the same.
#[inline]
pub fn read(headers: &mut HeaderMap) -> Option<Result<(), Box<Status>>> {
    let said = Said::by(headers);
    match (said.code, said.details) {
        (None, None) => None,
        (Some(code), None) if code == "0" => Some(Ok(())),
        _ => read_through(headers),
    }
}

/// The same for a response whose headers are all that is known: one without gRPC is over, and has failed, unless its HTTP status is 200.
#[inline]
pub fn of<B>(response: &mut Response<B>) -> Option<Result<(), Box<Status>>> {
    let read = read(response.headers_mut());
    if read.is_none() && response.status() != StatusCode::OK {
        return Some(Err(Box::new(without_grpc(response))));
    }
    read
}

#[cold]
fn without_grpc<B>(response: &Response<B>) -> Status {
    let text = format!(
        "the node answered with HTTP {} and no grpc-status: is it a gRPC server?",
        response.status()
    );
    let metadata = MetadataMap::from_headers(response.headers().clone());
    Status::with_metadata(of_http(response.status()), text, metadata)
}

/// The code of an answer without gRPC, by its HTTP status (gRPC `doc/http-grpc-status-mapping.md`).
pub const fn of_http(status: StatusCode) -> Code {
    match status {
        StatusCode::BAD_REQUEST => Code::Internal,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
        _ => Code::Unknown,
    }
}

/// What there is to read of a failure, or of details.
#[cold]
fn read_through(headers: &mut HeaderMap) -> Option<Result<(), Box<Status>>> {
    let said = Said::by(headers);
    let undecodable = said
        .details
        .is_some_and(|details| BASE64.decode(details).is_err());
    let (answer, odd) = match said.code {
        None => (None, false),
        Some(code) if code == "0" => (Some(Ok(())), false),
        Some(code) => {
            let status = Box::new(failure(code, headers));
            (Some(Err(status)), is_odd(code, said.message))
        }
    };
    if let Some(Err(status)) = answer.as_ref().filter(|_| odd) {
        write(headers, status);
    }
    if undecodable {
        headers.remove(GRPC_STATUS_DETAILS);
    }
    answer
}

/// What headers or trailers say of the end.
#[derive(Clone, Copy, Default)]
struct Said<'a> {
    code: Option<&'a HeaderValue>,
    message: Option<&'a HeaderValue>,
    details: Option<&'a HeaderValue>,
}

impl<'a> Said<'a> {
    /// Those of an answer are few: looking at each once costs less than hashing three names.
    fn by(headers: &'a HeaderMap) -> Self {
        const FEW: usize = 8;
        if headers.len() > FEW {
            return Self {
                code: headers.get(GRPC_STATUS),
                message: headers.get(GRPC_MESSAGE),
                details: headers.get(GRPC_STATUS_DETAILS),
            };
        }
        let mut said = Self::default();
        for (name, value) in headers {
            let place = if *name == GRPC_STATUS {
                &mut said.code
            } else if *name == GRPC_MESSAGE {
                &mut said.message
            } else if *name == GRPC_STATUS_DETAILS {
                &mut said.details
            } else {
                continue;
            };
            place.get_or_insert(value);
        }
        said
    }
}

/// Writes `status` over whatever `headers` say.
pub fn write(headers: &mut HeaderMap, status: &Status) {
    // A status with metadata that is no header cannot be written; it stays as it was.
    let _ = status.add_header(headers);
}

fn failure(code: &HeaderValue, headers: &HeaderMap) -> Status {
    let mut rest = headers.clone();
    rest.remove(GRPC_STATUS);
    let message = rest.remove(GRPC_MESSAGE);
    let details = rest.remove(GRPC_STATUS_DETAILS);
    let details = details.and_then(|details| BASE64.decode(details).ok());
    let message = match known(code) {
        Some(_) => message.map_or_else(String::new, |message| decoded(&message)),
        None => format!("the node answered with grpc-status {code:?}, which is no code of gRPC"),
    };
    Status::with_details_and_metadata(
        known(code).unwrap_or(Code::Unknown),
        message,
        details.map_or_else(Bytes::new, Bytes::from),
        MetadataMap::from_headers(rest),
    )
}

/// A positive number is a code, even one that is not assigned; anything else is none, such as `+5` or `00`.
fn known(value: &HeaderValue) -> Option<Code> {
    let text = value.to_str().ok()?;
    let number: i32 = text.parse().ok().filter(|number| *number > 0)?;
    (number.to_string() == text).then(|| Code::from_i32(number))
}

/// Whether tonic makes something else of a status: it has no word for a code that is none, and drops the code with a message that is
/// not UTF-8.
fn is_odd(code: &HeaderValue, message: Option<&HeaderValue>) -> bool {
    let decode = |message: &HeaderValue| {
        let decoded = percent_encoding::percent_decode(message.as_bytes());
        decoded.decode_utf8().is_err()
    };
    known(code).is_none() || message.is_some_and(decode)
}

/// Percent-decodes; what is not UTF-8 is replaced, as the gRPC specification asks.
fn decoded(message: &HeaderValue) -> String {
    percent_encoding::percent_decode(message.as_bytes())
        .decode_utf8_lossy()
        .into_owned()
}
