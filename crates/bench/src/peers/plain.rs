//! tonic alone.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tonic::{
    Status,
    transport::{Channel, Endpoint, Uri},
};

use super::{CONNECT_TIMEOUT, Terms, generated_client::Generated};
use crate::echo::{Echo, EchoReply, EchoRequest};

/// `each` channels to each node, one after the other.
pub(super) fn round_robin(nodes: &[SocketAddr], each: usize, terms: Terms) -> RoundRobin {
    let nodes = nodes.iter().cycle().take(nodes.len() * each);
    let client = |node| Generated::over(channel(node), terms.plain_deadline);
    RoundRobin {
        clients: nodes.copied().map(client).collect(),
        next: Arc::default(),
    }
}

/// tonic's own balance.
pub(super) fn balance_list(nodes: &[SocketAddr], terms: Terms) -> impl Echo + use<> {
    let channel = Channel::balance_list(nodes.iter().copied().map(endpoint));
    Generated::over(channel, terms.plain_deadline)
}

/// As a channel is built by whoever has read what it does without: nothing is dialled yet.
pub(super) fn channel(node: SocketAddr) -> Channel {
    endpoint(node).connect_lazy()
}

fn endpoint(node: SocketAddr) -> Endpoint {
    let uri: Uri = format!("http://{node}")
        .parse()
        .expect("a socket address is an authority");
    Endpoint::from(uri).connect_timeout(CONNECT_TIMEOUT)
}

/// One channel after the other, whatever became of the last call.
#[derive(Clone)]
pub(super) struct RoundRobin {
    clients: Vec<Generated<Channel>>,
    next: Arc<AtomicUsize>,
}

impl Echo for RoundRobin {
    async fn say(&mut self, request: EchoRequest) -> Result<EchoReply, Status> {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.clients.len();
        self.clients[next].say(request).await
    }
}
