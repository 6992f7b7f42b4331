//! What a transport failure means: the one place that looks into errors of hyper and h2.
//!
//! | in the source chain | code | disposition |
//! |---|---|---|
//! | [`tonic::ConnectError`] | UNAVAILABLE | never sent |
//! | h2: GOAWAY from the peer above our stream | UNAVAILABLE | unprocessed |
//! | h2: REFUSED_STREAM from the peer (RFC 9113 §8.7) | UNAVAILABLE | unprocessed |
//! | h2: a connection that it ends itself, because of what the peer sends there | UNAVAILABLE | unknown |
//! | h2: CANCEL, ENHANCE_YOUR_CALM, of either side | CANCELLED, RESOURCE_EXHAUSTED | unknown |
//! | h2: any other reset | INTERNAL | unknown |
//! | hyper: cancelled before it was written | UNAVAILABLE | never sent |
//! | hyper: keepalive timed out, closed, broken by its socket, or a message cut short | UNAVAILABLE | unknown |
//! | [`tonic::TimeoutExpired`] | DEADLINE_EXCEEDED | unknown |
//! | an I/O error: refused, unreachable, no time to connect; any other | UNAVAILABLE | never sent; unknown |
//! | tower's `Elapsed`, of a layer of the user's | DEADLINE_EXCEEDED | unknown |
//! | tower's `Overloaded`; `Closed`, of tonic's queue too | RESOURCE_EXHAUSTED; UNAVAILABLE | never sent |
//!
//! Once headers have come the disposition is unknown whatever the cause: a node that has begun to answer has seen the request. A stream
//! that the peer ends after them with NO_ERROR is no error to hyper, be it by RST_STREAM or by GOAWAY; it is one to
//! [`ResponseBody`](crate::ResponseBody), with the code UNKNOWN.
//!
//! A request that waits in h2 for a stream when its connection breaks was not sent either; h2 does not tell it from one that was.
//!
//! Where tonic says CANCELLED for a request that was never written, and for its own time-out, this says what happened.

use std::{error::Error as StdError, io};

use tonic::Code;
use tower::{buffer::error::Closed, load_shed::error::Overloaded, timeout::error::Elapsed};

use super::{Disposition, Kind};

type Chain<'a> = &'a (dyn StdError + 'static);

/// A transport failure, read.
#[derive(Debug)]
pub(super) struct Cause {
    pub(super) kind: Kind,
    pub(super) code: Code,
    pub(super) disposition: Disposition,
    pub(super) text: String,
}

/// Reads the cause, or `None` if nothing in the chain is known.
pub(super) fn of(error: Chain<'_>) -> Option<Cause> {
    let (kind, code, disposition) = find::<tonic::ConnectError>(error)
        .map(|_| UNREACHABLE)
        .or_else(|| find::<h2::Error>(error).map(of_h2))
        .or_else(|| find::<hyper::Error>(error).and_then(of_hyper))
        .or_else(|| find::<tonic::TimeoutExpired>(error).map(|_| TIMED_OUT))
        .or_else(|| find::<io::Error>(error).map(of_io))
        .or_else(|| find::<tonic::transport::Error>(error).map(of_tonic))
        .or_else(|| find::<Elapsed>(error).map(|_| LOCAL_TIMEOUT))
        .or_else(|| find::<Overloaded>(error).map(|_| SHED))
        .or_else(|| find::<Closed>(error).map(|_| CLOSED))?;
    let text = chain(error);
    Some(Cause {
        kind,
        code,
        disposition,
        text,
    })
}

/// Whether something in the chain is known. An I/O error is only where a transport has carried it: a wrapper's own may be of a file.
pub(super) fn is_known(error: Chain<'_>) -> bool {
    let is_carried = find::<tonic::ConnectError>(error).is_some()
        || find::<tonic::transport::Error>(error).is_some()
        || find::<hyper::Error>(error).is_some()
        || find::<h2::Error>(error).is_some();
    is_carried || (find::<io::Error>(error).is_none() && of(error).is_some())
}

/// A transport failure of which nothing is known.
pub(super) fn unknown(error: Chain<'_>) -> Cause {
    Cause {
        kind: Kind::Transport,
        code: Code::Unavailable,
        disposition: Disposition::Unknown,
        text: chain(error),
    }
}

type Meaning = (Kind, Code, Disposition);

const UNREACHABLE: Meaning = (Kind::Connect, Code::Unavailable, Disposition::NeverSent);
const UNSEEN: Meaning = (Kind::Transport, Code::Unavailable, Disposition::NeverSent);
const UNPROCESSED: Meaning = (Kind::Transport, Code::Unavailable, Disposition::Unprocessed);
const LOST: Meaning = (Kind::Transport, Code::Unavailable, Disposition::Unknown);
// tonic keeps the time of `grpc-timeout`, which is that of the attempt.
const TIMED_OUT: Meaning = (
    Kind::AttemptTimeout,
    Code::DeadlineExceeded,
    Disposition::Unknown,
);
const LOCAL_TIMEOUT: Meaning = (Kind::Other, Code::DeadlineExceeded, Disposition::Unknown);
const SHED: Meaning = (Kind::Other, Code::ResourceExhausted, Disposition::NeverSent);
const CLOSED: Meaning = (Kind::Other, Code::Unavailable, Disposition::NeverSent);

fn of_h2(error: &h2::Error) -> Meaning {
    let remote = error.is_remote();
    let code = match error.reason() {
        _ if error.is_io() => return LOST,
        _ if error.is_go_away() && remote => return UNPROCESSED,
        // It may be another call on the connection that is to blame.
        _ if error.is_go_away() => return LOST,
        Some(h2::Reason::REFUSED_STREAM) if remote => return UNPROCESSED,
        Some(h2::Reason::CANCEL) => Code::Cancelled,
        Some(h2::Reason::ENHANCE_YOUR_CALM) => Code::ResourceExhausted,
        _ => Code::Internal,
    };
    (Kind::Transport, code, Disposition::Unknown)
}

fn of_hyper(error: &hyper::Error) -> Option<Meaning> {
    if error.is_canceled() {
        return Some(UNSEEN);
    }
    // A connection that was open breaks with whatever its socket says, "unreachable" too; what never opened is told by others.
    let broken = find::<io::Error>(error).is_some();
    let lost = error.is_timeout() || error.is_closed() || error.is_incomplete_message();
    (lost || broken).then_some(LOST)
}

/// A channel whose task has ended, as with its runtime, has passed on nothing of what waited in its queue.
fn of_tonic(error: &tonic::transport::Error) -> Meaning {
    match find::<Closed>(error) {
        Some(_) => UNSEEN,
        None => LOST,
    }
}

fn of_io(error: &io::Error) -> Meaning {
    use io::ErrorKind::{
        AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable, NotFound,
    };
    match error.kind() {
        _ if has_no_time_to_connect(error) => UNREACHABLE,
        AddrNotAvailable | ConnectionRefused | HostUnreachable | NetworkUnreachable | NotFound => {
            UNREACHABLE
        }
        _ => LOST,
    }
}

/// What tonic says if a connector of the user's takes longer than `connect_timeout`; a connection that dies says no more than `TimedOut`.
fn has_no_time_to_connect(error: &io::Error) -> bool {
    matches!(error.get_ref(), Some(inner) if inner.is::<tokio::time::error::Elapsed>())
}

pub(super) fn find<'a, E: StdError + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a E> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| StdError::source(*error))
}

/// All messages of the chain, outermost first, without the ones that only repeat their cause.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = String::new();
    for cause in causes(error) {
        let part = told(cause);
        if text.contains(&part) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&part);
    }
    text
}

/// A status prints its whole chain; here only its own words are wanted.
fn told(cause: Chain<'_>) -> String {
    let status = cause.downcast_ref::<tonic::Status>();
    status.map_or_else(|| cause.to_string(), |status| status.message().to_owned())
}
