//! Who is to blame for an attempt that failed.

use tonic::Code;
use tower_micro_selector::Fault;

use crate::{Disposition, Error, Kind};

/// Who is to blame for an attempt that ended with `error`, by what that says alone.
///
/// | | fault |
/// |---|---|
/// | no connection; a connection that broke, or made no sense | the node's |
/// | the node, or a proxy before it, says UNAVAILABLE or DEADLINE_EXCEEDED | the node's |
/// | a time-out that a wrapper set | the node's |
/// | either of these two after the head of a response has come | unknown |
/// | the node says RESOURCE_EXHAUSTED or CANCELLED, or that it did not look at the request (GOAWAY, REFUSED_STREAM) | unknown |
/// | the request was never written; a wrapper refused it, or panicked | unknown |
/// | the node answers with any other code | elsewhere |
///
/// INTERNAL and UNKNOWN, when a node says so, are as often what a handler returned (go-micro servers make one of every plain error), so
/// they are the node's fault only when a connection ended with them.
pub(super) fn of(error: &Error) -> Fault {
    match (error.kind(), error.code()) {
        (Kind::Connect, _) => Fault::Node,
        (Kind::Transport | Kind::Status, Code::Cancelled | Code::ResourceExhausted) => {
            Fault::Unknown
        }
        (Kind::Transport, _) => match error.disposition() {
            Disposition::NeverSent | Disposition::Unprocessed => Fault::Unknown,
            _ => Fault::Node,
        },
        (Kind::Status, Code::Unavailable | Code::DeadlineExceeded) => Fault::Node,
        (Kind::Status, _) => Fault::Elsewhere,
        (Kind::AttemptTimeout | Kind::Deadline, _) | (Kind::Other, Code::DeadlineExceeded) => {
            Fault::Node
        }
        _ => Fault::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tonic::Status;
    use tower_micro_registry::ServiceName;
    use tower_micro_selector::SelectError;

    use super::*;
    use crate::Dialect;

    #[test]
    fn a_node_is_to_blame_for_what_it_breaks_and_not_for_what_it_answers() {
        let says = |code| Error::answered(Status::new(code, "so"), Dialect::Grpc);
        let greeter = ServiceName::new("greeter").unwrap();
        let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let told = [
            (Error::transport(broken), Fault::Node),
            (Error::transport(refused), Fault::Node),
            (says(Code::Unavailable), Fault::Node),
            (says(Code::DeadlineExceeded), Fault::Node),
            (Error::attempt_timeout(Duration::from_secs(1)), Fault::Node),
            (says(Code::NotFound), Fault::Elsewhere),
            (says(Code::InvalidArgument), Fault::Elsewhere),
            (says(Code::Internal), Fault::Elsewhere),
            (says(Code::Unknown), Fault::Elsewhere),
            (says(Code::ResourceExhausted), Fault::Unknown),
            (says(Code::Cancelled), Fault::Unknown),
            (
                says(Code::Unavailable).with_disposition(Disposition::Unprocessed),
                Fault::Node,
            ),
            (
                Error::select(&greeter, SelectError::NotFound, Dialect::Grpc),
                Fault::Unknown,
            ),
            (
                Error::new(Kind::Transport, Code::Unavailable, "refused unseen")
                    .with_disposition(Disposition::Unprocessed),
                Fault::Unknown,
            ),
            (
                Error::new(Kind::Transport, Code::Internal, "reset")
                    .with_disposition(Disposition::Unknown),
                Fault::Node,
            ),
            (
                Error::new(Kind::Panic, Code::Internal, "oh"),
                Fault::Unknown,
            ),
            (
                Error::new(Kind::Request, Code::Unavailable, "no"),
                Fault::Unknown,
            ),
            (
                Error::new(Kind::Other, Code::Unavailable, "no"),
                Fault::Unknown,
            ),
        ];
        for (error, fault) in told {
            assert_eq!(of(&error), fault, "{error:?}");
        }
    }
}
