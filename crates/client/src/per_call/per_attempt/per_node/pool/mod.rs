//! The connections of each node.
//!
//! A connection carries many calls at once, and a call goes to the one that carries fewest. When that one carries
//! [`PoolOptions::max_streams`], or as many as the node allows, another is opened beside it, up to [`PoolOptions::size`]; the call does not
//! wait for it. Only one connection to a node is being opened at a time. A client that has one node only gets a second connection to it
//! sooner, at [`PoolOptions::second_at`].
//!
//! A connection older than [`PoolOptions::ttl`] takes no new call, and is closed when the last one it carries has ended (go-micro
//! `client/grpc/grpc_pool.go`). Every five seconds it is looked for what is not needed: connections that carried no call since the last
//! time, beyond [`PoolOptions::max_idle`]; those beyond a `size` that has become smaller; nodes that no selector knows any more, or that
//! had no call for half an hour.
//! Calls that are under way on any of them go on to their end.

mod lent;
mod node;
mod sweep;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};
use foldhash::fast::RandomState;
use tower_micro_selector::Candidate;

use self::node::Connections;
pub(super) use self::{lent::Lent, sweep::Sweeper};
use super::connect::Connect;
use crate::PoolOptions;

/// Connections by address.
pub(super) struct Pool<K: Connect> {
    nodes: ArcSwap<Nodes<K>>,
    /// Held while the table of nodes is replaced; never on the way of a call to a known node.
    changing: Mutex<()>,
}

type Nodes<K> = HashMap<Box<str>, Arc<Connections<K>>, RandomState>;

/// What a connection is wanted for.
pub(super) struct Wanted<'a, K> {
    pub(super) connect: &'a K,
    pub(super) node: &'a Arc<Candidate>,
    /// For the opening of one.
    pub(super) timeout: Option<Duration>,
    pub(super) options: &'a PoolOptions,
    /// Whether no other node has connections.
    pub(super) alone: bool,
}

impl<K: Connect> Default for Pool<K> {
    fn default() -> Self {
        Self {
            nodes: ArcSwap::default(),
            changing: Mutex::new(()),
        }
    }
}

impl<K: Connect> Pool<K> {
    /// The nodes as they are now.
    pub(super) fn nodes(&self) -> Guard<Arc<Nodes<K>>> {
        self.nodes.load()
    }

    /// A place for the connections to `node`.
    pub(super) fn add(&self, node: &Arc<Candidate>) -> Arc<Connections<K>> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.nodes.load();
        if let Some(known) = known.get(node.address.as_str()) {
            return Arc::clone(known);
        }
        let mut nodes = Nodes::clone(&known);
        let connections = Arc::new(Connections::of(node));
        nodes.insert(node.address.as_str().into(), Arc::clone(&connections));
        self.nodes.store(Arc::new(nodes));
        connections
    }

    /// Lets go of what is not needed.
    pub(super) fn sweep(&self, connect: &K, options: &PoolOptions) {
        for node in self.nodes.load().values() {
            node.sweep(connect, options);
        }
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.nodes.load();
        if known.values().any(|node| node.is_forgotten()) {
            let mut nodes = Nodes::clone(&known);
            nodes.retain(|_, node| !node.is_forgotten());
            self.nodes.store(Arc::new(nodes));
        }
    }
}

impl<K: Connect> fmt::Debug for Pool<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.nodes.load();
        let counts = nodes.iter().map(|(address, node)| (address, node.len()));
        f.write_str("Pool ")?;
        f.debug_map().entries(counts).finish()
    }
}
