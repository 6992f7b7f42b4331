//! go-micro's error, method names and codes, byte for byte.
//!
//! A go-micro service answers a failed call with an [`Error`]: an id, an HTTP-like code, a detail and the text of the
//! code. Over gRPC it travels three times at once: as the status code, as JSON in the status message, and as a
//! protobuf message in the status details. This module reads and writes all three forms exactly as go-micro v2.9.1
//! and v4.11.0 do, so that a Go caller cannot tell who wrote an error.
//!
//! # What the caller sees
//! [`from_status`] gives the [`Error`] that a status carries, or `None` if it is not go-micro's. `Status::from(error)`
//! is the way back; nothing is lost between the two.
//!
//! # Units and defaults
//! Codes are HTTP status codes as `i32`, 0 if absent. Texts may be empty.
//!
//! # Errors
//! Reading never fails and never panics: what is not go-micro's is `None`, and [`Error::parse`] puts a text that it
//! does not understand into the detail.
//!
//! # Example
//!
//! ```
//! use tonic::{Code, Status};
//! use tower_micro_call::micro::{self, Error};
//!
//! let error = Error::not_found("greeter", "no such user");
//! assert_eq!(
//!     error.to_json(),
//!     r#"{"id":"greeter","code":404,"detail":"no such user","status":"Not Found"}"#
//! );
//!
//! let status = Status::from(&error);
//! assert_eq!(status.code(), Code::NotFound);
//! assert_eq!(micro::from_status(&status), Some(error));
//! assert_eq!(micro::from_status(&Status::not_found("plain gRPC")), None);
//! ```
//!
//! # Not here
//! Which code a *foreign* status gets (v2: always 500, v4: [`from_grpc_code`]) and which codes are retried: both are
//! choices of the client. `%` in a detail is text; go-micro v2 took details for format strings.

mod code;
mod error;
mod json;
mod method;
mod multi;
mod parse;
mod status;
mod status_text;
mod wire;

pub use self::{
    code::{from_grpc_code, grpc_code},
    error::Error,
    method::{MalformedMethod, ServiceMethod, grpc_path, service_from_method},
    multi::MultiError,
    status::from_status,
};
