//! The connections of each node.
//!
//! A connection carries many calls at once, and a call goes to the one that carries fewest. When that one carries
//! [`PoolOptions::max_streams`], or as many as the node allows, another is opened beside it, up to [`PoolOptions::size`]; the call does not
//! wait for it. Only one connection to a node is being opened at a time. A client that has one node only gets a second connection to it
//! sooner, at [`PoolOptions::second_at`].
//!
//! A connection older than [`PoolOptions::ttl`] takes no new call, and is closed within five seconds of the end of the last one it carries
//! (go-micro `client/grpc/grpc_pool.go`). Until then it counts for no `size`, and a call that waits there for a stream goes to whichever
//! connection has one. Every five seconds it is looked for what is not needed: connections that carried no call since the last
//! time, beyond [`PoolOptions::max_idle`]; those beyond a `size` that has become smaller; nodes that no selector knows any more, or that
//! had no call for half an hour.
//! Calls that are under way on any of them go on to their end. Where calls still wait for a stream then, because they came together and
//! were all given to one connection, another is opened for them, up to `size`.
//!
//! The pool owns the connections, and touches them under a lock when one is opened or let go of. Calls see what it publishes meanwhile: the
//! ways to the connections, which keep none of them open.

mod choice;
mod lent;
mod node;
mod sweep;
#[cfg(test)]
mod tests;
mod ways;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicUsize,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use tower_micro_call::Error;
use tower_micro_selector::Candidate;

pub(super) use self::{
    lent::Lent,
    sweep::{Sweeper, Swept},
    ways::Nodes,
};
use self::{node::Node, ways::Ways};
use super::connect::Connect;
use crate::PoolOptions;

/// Connections by address.
pub(super) struct Pool<K: Connect> {
    /// Locked while they change; never on the way of a call to a connection that has room.
    owned: Mutex<Owned<K>>,
    published: ArcSwap<Nodes<K::Connection>>,
    /// The version that is published.
    version: AtomicUsize,
    /// How many calls have come by the slow way since, and found what is published to be old. Written under the lock.
    behind: AtomicUsize,
}

/// To publish takes as long as there are nodes. Where there are more than this, several changes are published together.
const AT_ONCE: usize = 32;

type Owned<K> = HashMap<Arc<str>, Node<K>, RandomState>;

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
            owned: Mutex::default(),
            published: ArcSwap::default(),
            version: AtomicUsize::new(0),
            behind: AtomicUsize::new(0),
        }
    }
}

impl<K: Connect> Pool<K> {
    /// The nodes as they are now.
    pub(super) fn nodes(&self) -> Arc<Nodes<K::Connection>> {
        self.published.load_full()
    }

    /// The same for who knows how they were a while ago: one load if nothing has changed since.
    pub(super) fn refresh<'a>(
        &self,
        known: &'a mut Arc<Nodes<K::Connection>>,
    ) -> &'a Nodes<K::Connection> {
        if known.version != self.version.load(Acquire) {
            *known = self.nodes();
        }
        known
    }

    /// A connection for one call to a node that is known by `ways`.
    pub(super) fn lend(
        &self,
        ways: &Ways<K::Connection>,
        wanted: &Wanted<'_, K>,
    ) -> Result<Lent<K::Connection>, Error> {
        match ways.lend(wanted) {
            Some(lent) => Ok(lent),
            None => self.grow(wanted),
        }
    }

    /// The slow way: with the lock, one more connection if it is still wanted, to a node that need not be known.
    pub(super) fn grow(&self, wanted: &Wanted<'_, K>) -> Result<Lent<K::Connection>, Error> {
        let address = wanted.node.address.as_str();
        let mut owned = self.owned();
        if !owned.contains_key(address) {
            owned.insert(address.into(), Node::of(wanted.node));
        }
        let node = owned.get_mut(address).expect("put there above");
        let lent = node.grow(wanted);
        let published = self.published.load();
        if !node.has_departed() && !is_published(&published, address, node) {
            let behind = self.behind.fetch_add(1, Relaxed) + 1;
            if behind.saturating_mul(AT_ONCE) > published.len() {
                self.publish(published.anew(&owned));
            }
        }
        lent
    }

    /// Lets go of what is not needed.
    pub(super) fn sweep(&self, connect: &K, options: &PoolOptions) {
        let mut owned = self.owned();
        owned.retain(|_, node| {
            node.sweep(connect, options);
            !node.is_forgotten()
        });
        let published = self.published.load();
        let there = || owned.iter().filter(|(_, node)| !node.has_departed());
        let is_same = published.len() == there().count()
            && there().all(|(address, node)| is_published(&published, address, node));
        if !is_same {
            self.publish(published.anew(&owned));
        }
    }

    /// Has the next call to each node come by the slow way, and keeps the connections.
    pub(super) fn forget(&self) {
        let _owned = self.owned();
        self.publish(self.published.load().none());
    }

    fn owned(&self) -> MutexGuard<'_, Owned<K>> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets calls see `nodes`.
    fn publish(&self, nodes: Nodes<K::Connection>) {
        let version = nodes.version;
        self.behind.store(0, Relaxed);
        self.published.store(Arc::new(nodes));
        self.version.store(version, Release);
    }
}

fn is_published<K: Connect>(nodes: &Nodes<K::Connection>, address: &str, node: &Node<K>) -> bool {
    let ways = nodes.get(address);
    ways.is_some_and(|ways| ways.lead_to(&node.connections))
}

impl<K: Connect> fmt::Debug for Pool<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.published.load();
        f.write_str("Pool ")?;
        let counts = nodes.iter().map(|(address, ways)| (address, ways.len()));
        f.debug_map().entries(counts).finish()
    }
}
