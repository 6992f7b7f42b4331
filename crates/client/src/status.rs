//! What the headers of a response say of its end.

use http::{Response, StatusCode};
use tonic::{Status, metadata::MetadataMap};
use tower_micro_call::status;

/// What is known when the headers have come.
pub(crate) enum Known {
    /// The call is over, and well.
    Ok,
    /// The call is over, and failed.
    Failed(Box<Status>),
    /// The trailers will tell.
    Open,
}

/// Reads the headers, and takes out of them what would make a reader further out panic.
pub(crate) fn of<B>(response: &mut Response<B>) -> Known {
    match status::read(response.headers_mut()) {
        Some(Ok(())) => Known::Ok,
        Some(Err(status)) => Known::Failed(status),
        None if response.status() == StatusCode::OK => Known::Open,
        None => Known::Failed(Box::new(without_grpc(response))),
    }
}

fn without_grpc<B>(response: &Response<B>) -> Status {
    let text = format!(
        "the node answered with HTTP {} and no grpc-status: is it a gRPC server?",
        response.status()
    );
    let metadata = MetadataMap::from_headers(response.headers().clone());
    Status::with_metadata(status::of_http(response.status()), text, metadata)
}
