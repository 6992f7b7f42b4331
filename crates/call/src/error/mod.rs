//! How a call failed: what, where, on which attempt, and whether the node may have acted on it.
//!
//! An [`Error`] holds the [`tonic::Status`] that the caller of a generated client gets. The status a node sent is kept as it came:
//! code, message, details and metadata. A status made on this side tells the story in its message: service, node, attempts and how
//! the attempt before the last one ended.

mod cause;
mod convert;
mod making;
mod story;
#[cfg(test)]
mod tests;

use std::{error::Error as StdError, fmt, sync::Arc};

use tonic::{Code, Status};
use tower_micro_registry::ServiceName;
use tower_micro_selector::Candidate;

use crate::micro;

/// Any error, as tower knows it.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Whether the node may have acted on a request that failed.
///
/// Read from the error's source chain, never from the text of a message. gRFC A6 rests on this distinction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Disposition {
    /// The request never left this process: sending it elsewhere is always safe.
    NeverSent,
    /// It left, and the peer says that it was not acted on (GOAWAY, REFUSED_STREAM).
    Unprocessed,
    /// Nobody can tell.
    Unknown,
    /// The node answered.
    Processed,
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The node answered with this status.
    Status,
    /// No connection to the node could be made.
    Connect,
    /// The connection to the node broke, or what came over it made no sense.
    Transport,
    /// No node was found.
    Select,
    /// The call's deadline.
    Deadline,
    /// The time for one attempt.
    AttemptTimeout,
    /// The backoff refused to say how long to wait.
    Backoff,
    /// What the caller asked for cannot be done.
    Request,
    /// This side has enough under way at the node.
    Overload,
    /// A wrapper panicked.
    Panic,
    /// Anything else, such as an error that a wrapper returned.
    Other,
}

/// Whose words errors are told in, and whose headers are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// gRPC's own codes.
    #[default]
    Grpc,
    /// go-micro v2.9.1: a status that carries no go-micro error counts as a 500.
    GoMicroV2,
    /// go-micro v4.11: such a status is translated by [`micro::from_grpc_code`].
    GoMicroV4,
}

impl Dialect {
    /// Whether this is one of go-micro's.
    pub const fn is_go_micro(self) -> bool {
        !matches!(self, Self::Grpc)
    }

    fn code_of(self, status: Code) -> Option<i32> {
        match self {
            Self::Grpc => None,
            Self::GoMicroV2 => Some(500),
            Self::GoMicroV4 => Some(micro::from_grpc_code(status)),
        }
    }
}

/// A call or an attempt that failed. See [`Kind`], [`Disposition`] and [`Error::micro`].
///
/// Who called by a generated client finds it behind the [`Status`] (`std::error::Error::source`), with what was called, where, and how
/// often:
/// ```
/// use std::error::Error as _;
/// use tower_micro_call::Error;
///
/// fn told(status: &tonic::Status) -> Option<String> {
///     let error = status.source()?.downcast_ref::<Error>()?;
///     let (service, node) = (error.service()?, error.node()?);
///     Some(format!("{service} at {node}, after {} attempts", error.attempts()))
/// }
/// ```
///
/// Cheap to clone. [`std::error::Error::source`] is the [`Status`], whose own source is the cause.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: Kind,
    disposition: Disposition,
    /// Whether it is the attempt's own connection that failed.
    is_own: bool,
    /// What the status says, before the story was added.
    text: String,
    status: Status,
    cause: Option<Arc<dyn StdError + Send + Sync>>,
    micro: Option<micro::Error>,
    service: Option<ServiceName>,
    node: Option<Arc<Candidate>>,
    attempts: u32,
    previous: Option<Error>,
    hint: Option<&'static str>,
}

impl Error {
    /// What failed.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Whether the node may have acted on the request.
    pub fn disposition(&self) -> Disposition {
        self.0.disposition
    }

    /// The gRPC code.
    pub fn code(&self) -> Code {
        self.0.status.code()
    }

    /// The status that the caller gets.
    pub fn status(&self) -> &Status {
        &self.0.status
    }

    /// The message without the story.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// go-micro's error: the one a node sent, the one its client would have made, or none if go-micro would see plain text.
    pub fn micro(&self) -> Option<&micro::Error> {
        self.0.micro.as_ref()
    }

    /// go-micro's code, as `errors.Parse(err.Error()).Code` reads it: 0 for plain text.
    pub fn micro_code(&self) -> i32 {
        self.micro()
            .map_or_else(|| micro::Error::parse(self.text()).code, |told| told.code)
    }

    /// What Go's `err.Error()` gives: the JSON of a go-micro error, or the text.
    pub fn go_text(&self) -> String {
        self.micro()
            .map_or_else(|| self.text().to_owned(), ToString::to_string)
    }

    /// The service that was called, if the call came so far as to know.
    pub fn service(&self) -> Option<&ServiceName> {
        self.0.service.as_ref()
    }

    /// The node, if the attempt reached the point of having one.
    pub fn node(&self) -> Option<&Arc<Candidate>> {
        self.0.node.as_ref()
    }

    /// How many attempts were made; 0 before the first.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Whether the node has cancelled the call, by a status or by a reset of its stream. When the time is up that it was told, it did so
    /// for want of time: tonic's servers answer so, others reset (grpc-go reads a reset as the deadline then,
    /// `internal/transport/http2_client.go`).
    pub fn is_cancelled_by_node(&self) -> bool {
        matches!(self.kind(), Kind::Status | Kind::Transport) && self.code() == Code::Cancelled
    }

    /// How the attempt before ended.
    pub fn previous(&self) -> Option<&Self> {
        self.0.previous.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.code(), self.status().message())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind())
            .field("disposition", &self.disposition())
            .field("code", &self.code())
            .field("message", &self.status().message())
            .field("micro", &self.micro().map(ToString::to_string))
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.status())
    }
}
