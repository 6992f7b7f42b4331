//! Why a node could not be reached.

use std::{error::Error as StdError, io, sync::Arc, time::Duration};

use h2::Reason;
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
    #[error("the connection broke before the peer's SETTINGS: {}{}", chain(.0), hint(.0))]
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
    /// What the dial says of that.
    #[error("{0}")]
    Dialling(&'static str),
    #[cfg(feature = "tls")]
    #[error("the peer does not answer to TLS")]
    Tls,
    #[error("the peer has accepted and sent no SETTINGS that allow a stream")]
    Settings,
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

/// What may have come where h2 finds no frame: an alert of TLS, an answer of HTTP/1.
fn hint(error: &h2::Error) -> &'static str {
    let unreadable = [Reason::FRAME_SIZE_ERROR, Reason::PROTOCOL_ERROR].map(Some);
    if error.is_library() && unreadable.contains(&error.reason()) {
        "; the peer may not speak HTTP/2, or want TLS"
    } else {
        ""
    }
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
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
    use tower_micro_registry::Node;
    use tower_micro_selector::Candidate;

    use super::{
        super::{Connect, H2},
        *,
    };

    /// What is told of a peer whose first bytes are `said`.
    async fn broken_by(said: &[u8]) -> String {
        let (near, mut far) = duplex(1 << 10);
        far.write_all(said).await.unwrap();
        let (_requests, wire) = h2::client::handshake(near).await.unwrap();
        Failure::Broken(wire.await.unwrap_err()).to_string()
    }

    #[tokio::test]
    async fn a_peer_whose_first_bytes_are_no_frame_may_want_something_else() {
        let alert = [21, 3, 3, 0, 2, 2, 70];
        let empty_window_update = [0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for said in [
            &alert[..],
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            &empty_window_update,
        ] {
            let told = broken_by(said).await;
            assert!(told.contains("may not speak HTTP/2, or want TLS"), "{told}");
        }
    }

    #[tokio::test]
    async fn one_that_goes_away_by_the_rules_wants_no_tls() {
        let goaway = |reason| [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, reason];
        for reason in [Reason::PROTOCOL_ERROR, Reason::FRAME_SIZE_ERROR] {
            let told = broken_by(&goaway(u32::from(reason) as u8)).await;
            assert!(!told.contains("TLS"), "{told}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_dial_that_resolves_no_name_is_not_said_to() {
        let silent = |_: &Node| std::future::pending::<io::Result<DuplexStream>>();
        let connection = H2::new().dial(silent).connect(&Candidate::at("a:1"), None);
        let error = connection.unwrap().opened().await.unwrap_err();
        let why = "no connection within 20s: what is dialled does not answer";
        assert!(error.text().contains(why), "{error}");
    }
}
