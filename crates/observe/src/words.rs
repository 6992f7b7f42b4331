//! Words for what is counted and recorded, few enough to be labels.

use tonic::Code;
use tower_micro_call::{Disposition, Error, Kind};

/// A code as the conventions spell it.
pub const fn code(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// A node that failed says so by its code; a failure of this side by its kind.
pub fn error_type(error: &Error) -> &'static str {
    match error.kind() {
        Kind::Connect => "connect",
        Kind::Transport => "transport",
        Kind::Select => "no_nodes",
        Kind::Deadline => "deadline",
        Kind::AttemptTimeout => "attempt_timeout",
        Kind::Backoff => "backoff",
        Kind::Request => "request",
        Kind::Panic => "panic",
        _ => code(error.code()),
    }
}

/// Whether the node may have acted on the attempt.
pub fn disposition(error: &Error) -> &'static str {
    match error.disposition() {
        Disposition::NeverSent => "never_sent",
        Disposition::Unprocessed => "unprocessed",
        Disposition::Processed => "processed",
        _ => "unknown",
    }
}

/// Whether a code is an error of the server and not of its caller (semantic conventions for gRPC, server spans).
pub const fn is_servers_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}
