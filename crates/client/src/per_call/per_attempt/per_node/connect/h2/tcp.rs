//! TCP, to an address, or to whichever answers first of those that a name has.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use thiserror::Error as ThisError;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tower_micro_call::{BoxError, BoxFuture};
use tower_micro_registry::Node;

use super::dial::{Dial, Dialled};

/// How long an address has for itself before the next one is tried beside it (RFC 8305 §5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Dials the node's address over TCP, without Nagle's delay. Of a name with several addresses one after the other is tried, IPv4 and IPv6 in
/// turn, a quarter of a second apart or as soon as one fails, and the first that answers is taken (RFC 8305).
#[derive(Clone, Debug, Default)]
pub struct Tcp(());

impl Tcp {
    /// The default.
    pub const fn new() -> Self {
        Self(())
    }
}

impl Dial for Tcp {
    fn dial(&self, node: &Node) -> BoxFuture<io::Result<Dialled>> {
        let address = node.address.clone();
        Box::pin(async move {
            let addresses = resolved(&address).await?;
            let socket = first(in_turn(addresses), TcpStream::connect).await?;
            // If it cannot be, the socket is slow, or dead, of which the handshake tells.
            let _ = socket.set_nodelay(true);
            Ok(Box::new(socket) as Dialled)
        })
    }

    fn check(&self, node: &Node) -> Result<(), BoxError> {
        Ok(node.check_address()?)
    }

    fn silence(&self, node: &Node) -> &'static str {
        let is_name = node.address.parse::<SocketAddr>().is_err();
        if is_name {
            "its name is not resolved, or none of its addresses answers"
        } else {
            "the address does not answer"
        }
    }
}

#[derive(Debug, ThisError)]
#[error("cannot resolve `{address}`")]
struct Unresolved {
    address: String,
    source: io::Error,
}

async fn resolved(address: &str) -> io::Result<Vec<SocketAddr>> {
    let found = lookup_host(address).await.and_then(|addresses| {
        let addresses: Vec<_> = addresses.collect();
        let none = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        (!addresses.is_empty())
            .then_some(addresses)
            .ok_or_else(none)
    });
    found.map_err(|source| {
        let address = address.to_owned();
        io::Error::new(source.kind(), Unresolved { address, source })
    })
}

/// The kind of the first address, then the other, and so on (RFC 8305 §4).
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let kind = addresses.first().map(SocketAddr::is_ipv4);
    let (one, other): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| Some(address.is_ipv4()) == kind);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut sorted = Vec::new();
    while one.len() + other.len() > 0 {
        sorted.extend(one.next());
        sorted.extend(other.next());
    }
    sorted
}

/// What the first of `addresses` gives that gives anything; if none does, the failure of the one that failed first.
async fn first<T, F: Future<Output = io::Result<T>>>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<T> {
    let mut addresses = addresses.into_iter();
    let mut dials = FuturesUnordered::new();
    let mut failure = None;
    loop {
        dials.extend(addresses.next().map(&connect));
        let is_last = addresses.len() == 0;
        let patience = if is_last { Duration::MAX } else { HEAD_START };
        match timeout(patience, dials.next()).await {
            Ok(Some(Ok(socket))) => return Ok(socket),
            Ok(Some(Err(error))) => failure = failure.or(Some(error)),
            Ok(None) => return Err(failure.unwrap_or(io::ErrorKind::NotFound.into())),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, sync::Mutex};

    use tokio::time::{Instant, sleep};

    use super::*;

    fn addresses(all: &[&str]) -> Vec<SocketAddr> {
        all.iter().map(|address| address.parse().unwrap()).collect()
    }

    const THREE: [&str; 3] = ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"];

    #[tokio::test(start_paused = true)]
    async fn an_address_that_does_not_answer_does_not_keep_the_next_from_being_tried() {
        let connect = async |address: SocketAddr| match address.ip().to_string().as_str() {
            "10.0.0.3" => Ok(address),
            _ => pending().await,
        };
        let begun = Instant::now();
        let connected = first(addresses(&THREE), connect).await.unwrap();
        assert_eq!(connected.to_string(), "10.0.0.3:1");
        assert_eq!(begun.elapsed(), 2 * HEAD_START);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_slow_goes_on_while_others_are_tried() {
        let connect = async |address: SocketAddr| match address.ip().to_string().as_str() {
            "10.0.0.1" => {
                sleep(4 * HEAD_START).await;
                Ok(address)
            }
            _ => pending().await,
        };
        let connected = first(addresses(&THREE), connect).await.unwrap();
        assert_eq!(connected.to_string(), "10.0.0.1:1");
    }

    #[tokio::test(start_paused = true)]
    async fn after_one_that_fails_the_next_is_tried_at_once() {
        let tried = Mutex::new(Vec::new());
        let connect = async |address: SocketAddr| {
            tried.lock().unwrap().push(address);
            io::Result::<()>::Err(io::Error::other(address.to_string()))
        };
        let begun = Instant::now();
        let error = first(addresses(&THREE), connect).await.unwrap_err();
        assert_eq!(error.to_string(), THREE[0]);
        assert_eq!(*tried.lock().unwrap(), addresses(&THREE));
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[test]
    fn both_kinds_come_in_turn_and_begin_with_the_one_that_is_preferred() {
        let mixed = ["[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1", "10.0.0.2:1"];
        let sorted = ["[::1]:1", "10.0.0.1:1", "[::2]:1", "10.0.0.2:1", "[::3]:1"];
        assert_eq!(in_turn(addresses(&mixed)), addresses(&sorted));
        assert_eq!(in_turn(Vec::new()), []);
    }

    #[test]
    fn only_a_name_may_take_too_long_to_be_resolved() {
        let silence = |address| Tcp::new().silence(&Node::new("a", address));
        for address in ["10.0.0.1:1", "[::1]:1"] {
            assert_eq!(silence(address), "the address does not answer");
        }
        assert!(silence("a:1").contains("its name is not resolved"));
    }

    #[tokio::test]
    async fn a_name_that_does_not_resolve_is_told_as_that() {
        // No name has a label that is empty (RFC 1035 §2.3.1), so nobody is asked for it.
        let error = resolved("nobody..invalid:1").await.unwrap_err();
        assert_eq!(error.to_string(), "cannot resolve `nobody..invalid:1`");
        assert!(error.get_ref().unwrap().source().is_some());
    }
}
