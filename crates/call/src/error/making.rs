//! The ways to fail.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use tonic::{Code, Status};
use tower_micro_registry::ServiceName;
use tower_micro_selector::SelectError;

use super::{BoxError, Dialect, Disposition, Error, Inner, Kind, cause};
use crate::micro;

/// The id that go-micro's client puts into the errors it makes itself.
const CLIENT_ID: &str = "go.micro.client";

impl Error {
    /// An error made on this side.
    pub fn new(kind: Kind, code: Code, text: impl Into<String>) -> Self {
        Self::from_status_parts(kind, Disposition::NeverSent, Status::new(code, text))
    }

    /// What a node answered. Nothing of it is changed.
    pub fn answered(status: Status, dialect: Dialect) -> Self {
        let mut error = Self::from_status_parts(Kind::Status, Disposition::Processed, status);
        error.speak(dialect);
        error
    }

    /// A connection that failed, read from the source chain of what the transport returned.
    pub fn transport(cause: impl Into<BoxError>) -> Self {
        let cause: Arc<dyn StdError + Send + Sync> = Arc::from(cause.into());
        let found = cause::of(cause.as_ref()).unwrap_or_else(|| cause::unknown(cause.as_ref()));
        Self::new(found.kind, found.code, found.text)
            .with_disposition(found.disposition)
            .caused_by(cause)
    }

    /// A body that broke off, read from `status`, which is the transport's or a wrapper's own. A node that has begun to answer has seen
    /// the request, whatever is said now.
    pub(crate) fn of_body(status: Status) -> Self {
        let error = match status.source() {
            Some(source) if !source.is::<Self>() => Self::transport(status),
            _ => Self::from(status),
        };
        error.with_disposition(Disposition::Unknown)
    }

    /// A selector that found nothing, or failed.
    ///
    /// In gRPC's words this is UNAVAILABLE whatever the registry said (gRFC A54); in go-micro's it is a 500
    /// (`client/grpc/grpc.go`, `next`).
    pub fn select(service: &ServiceName, cause: SelectError, dialect: Dialect) -> Self {
        let text = match (&cause, dialect.is_go_micro()) {
            (SelectError::NotFound, true) => format!("service {service}: not found"),
            (_, true) => format!("error selecting {service} node: {cause}"),
            (SelectError::NotFound, false) => {
                format!("no node: the registry knows no service `{service}`")
            }
            (SelectError::NoneAvailable, false) => {
                "no node available: every node was filtered out, is gone, or has an address that is no `host:port`".to_owned()
            }
            (_, false) => format!("no node: {cause}"),
        };
        let error = if dialect.is_go_micro() {
            Self::go_micro(Kind::Select, 500, text)
        } else {
            Self::new(Kind::Select, Code::Unavailable, text)
        };
        error.caused_by(Arc::new(cause)).with_service(service)
    }

    /// As many attempts are under way at the node as may be, which is `limit`.
    pub fn overload(limit: u32, dialect: Dialect) -> Self {
        let text = format!(
            "{limit} attempts are under way at this node, and no more may be: raise `max_in_flight`, or send less"
        );
        if dialect.is_go_micro() {
            return Self::go_micro(Kind::Overload, 429, text)
                .with_disposition(Disposition::NeverSent);
        }
        Self::new(Kind::Overload, Code::ResourceExhausted, text)
            .with_disposition(Disposition::NeverSent)
    }

    /// The deadline of a call has passed.
    pub fn deadline(timeout: Duration, dialect: Dialect) -> Self {
        if dialect.is_go_micro() {
            return Self::go_micro(Kind::Deadline, 408, "context deadline exceeded")
                .with_disposition(Disposition::Unknown);
        }
        let text = format!("deadline of {timeout:?} exceeded");
        Self::new(Kind::Deadline, Code::DeadlineExceeded, text)
            .with_disposition(Disposition::Unknown)
    }

    /// An attempt took longer than it may.
    pub fn attempt_timeout(timeout: Duration) -> Self {
        let text = format!("attempt timed out after {timeout:?}");
        Self::new(Kind::AttemptTimeout, Code::DeadlineExceeded, text)
            .with_disposition(Disposition::Unknown)
    }

    /// A backoff that failed instead of naming a delay. go-micro counts this as a failed attempt with code 500.
    pub fn backoff(cause: &Self, dialect: Dialect) -> Self {
        let text = cause.go_text();
        let error = if dialect.is_go_micro() {
            Self::go_micro(Kind::Backoff, 500, text)
        } else {
            Self::new(
                Kind::Backoff,
                Code::Internal,
                format!("backoff failed: {text}"),
            )
        };
        error.caused_by(Arc::new(cause.clone()))
    }

    /// An error that go-micro's client makes itself.
    fn go_micro(kind: Kind, code: i32, detail: impl Into<String>) -> Self {
        let told = micro::Error::new(CLIENT_ID, detail, code);
        let mut error = Self::new(kind, micro::grpc_code(code), told.detail.clone());
        error.edit().micro = Some(told);
        error
    }

    pub(super) fn from_status_parts(kind: Kind, disposition: Disposition, status: Status) -> Self {
        Self(Arc::new(Inner {
            kind,
            disposition,
            is_own: false,
            text: status.message().to_owned(),
            micro: micro::from_status(&status),
            status,
            cause: None,
            service: None,
            node: None,
            attempts: 0,
            previous: None,
            hint: None,
        }))
    }

    /// Gives an error of a node or a connection the form it has in `dialect`; an attempt that took too long is go-micro's 408.
    #[must_use]
    pub fn spoken(mut self, dialect: Dialect) -> Self {
        match self.kind() {
            Kind::Status | Kind::Connect | Kind::Transport => self.speak(dialect),
            Kind::AttemptTimeout if dialect.is_go_micro() && self.micro().is_none() => {
                let told = micro::Error::new(CLIENT_ID, self.text(), 408);
                self.edit().micro = Some(told);
            }
            _ => {}
        }
        self
    }

    /// The same for an attempt to open a stream: where no connection could be made, go-micro's dialects say 500 whatever the code
    /// (`client/grpc/grpc.go`, `stream`).
    #[must_use]
    pub fn spoken_of_stream(mut self, dialect: Dialect) -> Self {
        if self.kind() == Kind::Connect && self.micro().is_none() && dialect.is_go_micro() {
            let (code, text) = (self.code(), self.text());
            let detail = format!("Error creating stream: rpc error: code = {code:?} desc = {text}");
            self.edit().micro = Some(micro::Error::new(CLIENT_ID, detail, 500));
        }
        self.spoken(dialect)
    }

    fn speak(&mut self, dialect: Dialect) {
        if self.micro().is_some() {
            return;
        }
        if let Some(code) = dialect.code_of(self.code()) {
            let told = micro::Error::new(CLIENT_ID, self.text(), code);
            self.edit().micro = Some(told);
        }
    }
}
