//! Why a node could not be reached.

use std::{error::Error as StdError, io, net::SocketAddr, sync::Arc, time::Duration};

use thiserror::Error as ThisError;
use tonic::Code;
use tower_micro_call::{Error, Kind};

/// How a dial has failed.
#[derive(Debug, ThisError)]
pub(super) enum Failure {
    #[error("cannot connect: {}", chain(.0))]
    Dial(#[source] io::Error),
    #[cfg(feature = "tls")]
    #[error("TLS failed: {}", chain(.0))]
    Tls(#[source] io::Error),
    #[cfg(feature = "tls")]
    #[error("TLS failed: the peer has not agreed to speak HTTP/2 (ALPN `h2`)")]
    NoAlpn,
    #[error(
        "the peer closed the connection before its SETTINGS: it may not speak HTTP/2, or want TLS"
    )]
    Closed,
    #[error("the connection broke before the peer's SETTINGS: {}", chain(.0))]
    Broken(#[source] h2::Error),
    #[error("the peer closed the connection as soon as it was open")]
    ClosedAtOnce,
    #[error("the connection broke as soon as it was open: {}", chain(.0))]
    BrokenAtOnce(#[source] h2::Error),
    #[error("the dial panicked: {0}")]
    Panicked(String),
    #[error("the runtime that dialled has ended")]
    Homeless,
    #[error("no connection within {0:?}: {1}")]
    TooLate(Duration, Stage),
    #[error("no connection within {0:?}, and nobody waited any longer")]
    Abandoned(Duration),
    #[error(
        "no connection within {0:?}, which is as long as an attempt waits while another may go to another node"
    )]
    Elsewhere(Duration),
}

/// Where a dial was when its time was up.
#[derive(Clone, Copy, Debug, ThisError)]
pub(super) enum Stage {
    #[error("the address does not answer")]
    Dialling,
    #[error("its name is not resolved, or none of its addresses answers")]
    Naming,
    #[cfg(feature = "tls")]
    #[error("the peer does not answer to TLS")]
    Tls,
    #[error("the peer has accepted and sent no SETTINGS that allow a stream")]
    Settings,
}

impl Stage {
    /// The first, on the way to `address`.
    pub(super) fn first(address: &str) -> Self {
        let is_name = address.parse::<SocketAddr>().is_err();
        if is_name {
            Self::Naming
        } else {
            Self::Dialling
        }
    }
}

/// What the calls get that waited for the dial.
pub(super) fn failed(failure: &Arc<Failure>) -> Error {
    unreachable(failure.to_string(), failure)
}

/// What a call gets that comes before the next dial.
pub(super) fn not_yet(failure: &Arc<Failure>) -> Error {
    unreachable(
        format!("not dialled again yet; the last time: {failure}"),
        failure,
    )
}

fn unreachable(text: String, failure: &Arc<Failure>) -> Error {
    let cause: Arc<dyn StdError + Send + Sync> = Arc::<Failure>::clone(failure);
    Error::new(Kind::Connect, Code::Unavailable, text).caused_by(cause)
}

/// The connection was open, and has ended for a reason of this side's. What was under way on it may have been acted on.
#[derive(Debug, ThisError)]
#[error("the connection was given up: {why}")]
pub(super) struct GivenUp {
    pub(super) why: String,
    pub(super) source: h2::Error,
}

/// All messages of the chain, without those that only repeat their cause.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let part = cause.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_may_take_too_long_to_be_resolved() {
        let late = |address| {
            let stage = Stage::first(address);
            Failure::TooLate(Duration::from_secs(1), stage).to_string()
        };
        for address in ["10.0.0.1:1", "[::1]:1"] {
            assert!(!late(address).contains("resolved"), "{}", late(address));
        }
        assert!(late("a:1").contains("its name is not resolved"));
    }
}
