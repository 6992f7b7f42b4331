//! The connections of each node.
//!
//! A connection carries many calls at once. Another is opened when all of a node's carry [`PoolOptions::max_streams`] and there are
//! fewer than [`PoolOptions::size`]; past that the least busy one takes the call. A connection older than [`PoolOptions::ttl`] takes
//! no new call, and is closed when the last one it carries has ended (go-micro `client/grpc/grpc_pool.go`). Nodes that were not used
//! between two openings are forgotten.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use tokio::time::Instant;
use tower_micro_call::{End, Error, ResponseBody, SharedEnded};

use crate::PoolOptions;

/// Connections by address.
pub(super) struct Pool<C> {
    nodes: ArcSwap<Nodes<C>>,
    /// Held while the table of nodes is replaced; never on the way of a call to a known node.
    opening: Mutex<()>,
}

type Nodes<C> = HashMap<Box<str>, Arc<Connections<C>>, RandomState>;

/// The connections of one node.
struct Connections<C> {
    open: ArcSwap<Vec<Arc<Connection<C>>>>,
    opening: Mutex<()>,
    used: AtomicBool,
}

/// One connection, and how many calls it carries.
struct Connection<C> {
    inner: C,
    streams: AtomicUsize,
    opened: Instant,
}

/// A connection lent to one call, until it is dropped or the call's answer has ended.
pub(super) struct Lent<C> {
    connection: Arc<Connection<C>>,
}

impl<C> Default for Pool<C> {
    fn default() -> Self {
        Self {
            nodes: ArcSwap::default(),
            opening: Mutex::new(()),
        }
    }
}

impl<C: Clone> Pool<C> {
    /// A connection to `address`: one that has room, or what `open` makes.
    pub(super) fn lend(
        &self,
        address: &str,
        options: &PoolOptions,
        open: impl FnOnce() -> Result<C, Error>,
    ) -> Result<Lent<C>, Error> {
        if let Some(node) = self.nodes.load().get(address) {
            return node.lend(options, open);
        }
        self.add(address).lend(options, open)
    }

    fn add(&self, address: &str) -> Arc<Connections<C>> {
        let _opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.nodes.load();
        if let Some(node) = known.get(address) {
            return Arc::clone(node);
        }
        let used = known.iter().filter(|(_, node)| node.was_used());
        let mut nodes: Nodes<C> = used
            .map(|(address, node)| (address.clone(), Arc::clone(node)))
            .collect();
        let node = Arc::new(Connections::default());
        nodes.insert(address.into(), Arc::clone(&node));
        self.nodes.store(Arc::new(nodes));
        node
    }
}

impl<C> Default for Connections<C> {
    fn default() -> Self {
        Self {
            open: ArcSwap::default(),
            opening: Mutex::new(()),
            used: AtomicBool::new(true),
        }
    }
}

impl<C> Connections<C> {
    /// Whether a call came since this was asked last, or is still there.
    fn was_used(&self) -> bool {
        let busy = |connection: &Arc<Connection<C>>| connection.streams.load(Relaxed) > 0;
        self.used.swap(false, Relaxed) || self.open.load().iter().any(busy)
    }

    fn lend(
        &self,
        options: &PoolOptions,
        open: impl FnOnce() -> Result<C, Error>,
    ) -> Result<Lent<C>, Error> {
        if !self.used.load(Relaxed) {
            self.used.store(true, Relaxed);
        }
        match self.with_room(options) {
            Some(lent) => Ok(lent),
            None => self.open(options, open),
        }
    }

    fn with_room(&self, options: &PoolOptions) -> Option<Lent<C>> {
        let now = options.ttl.map(|_| Instant::now());
        let open = self.open.load();
        let mut young = open
            .iter()
            .filter(|connection| !connection.is_older(options, now));
        young
            .find(|connection| connection.streams.load(Relaxed) < options.max_streams)
            .map(Lent::of)
    }

    fn open(
        &self,
        options: &PoolOptions,
        open: impl FnOnce() -> Result<C, Error>,
    ) -> Result<Lent<C>, Error> {
        let _opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lent) = self.with_room(options) {
            return Ok(lent);
        }
        let now = Instant::now();
        let mut kept = self.kept(options, now);
        if kept.len() >= options.size {
            let least = kept.iter().min_by_key(|kept| kept.streams.load(Relaxed));
            return Ok(Lent::of(least.expect("a pool holds at least one")));
        }
        let connection = Arc::new(Connection {
            inner: open()?,
            streams: AtomicUsize::new(0),
            opened: now,
        });
        let lent = Lent::of(&connection);
        kept.push(connection);
        self.open.store(Arc::new(kept));
        Ok(lent)
    }

    /// Those that are young, less the idle ones beyond what may idle. The others live on in the calls they carry.
    fn kept(&self, options: &PoolOptions, now: Instant) -> Vec<Arc<Connection<C>>> {
        let open = self.open.load();
        let mut idle = 0;
        open.iter()
            .filter(|connection| !connection.is_older(options, Some(now)))
            .filter(|connection| {
                idle += usize::from(connection.streams.load(Relaxed) == 0);
                idle <= options.max_idle.max(1)
            })
            .cloned()
            .collect()
    }
}

impl<C> Connection<C> {
    fn is_older(&self, options: &PoolOptions, now: Option<Instant>) -> bool {
        let (Some(ttl), Some(now)) = (options.ttl, now) else {
            return false;
        };
        now.saturating_duration_since(self.opened) > ttl
    }
}

impl<C> Lent<C> {
    fn of(connection: &Arc<Connection<C>>) -> Self {
        connection.streams.fetch_add(1, Relaxed);
        let connection = Arc::clone(connection);
        Self { connection }
    }
}

impl<C: Clone + Send + Sync + 'static> Lent<C> {
    /// A handle to it.
    pub(super) fn handle(&self) -> C {
        self.connection.inner.clone()
    }

    /// Lends it for as long as `body` goes on.
    pub(super) fn until_end_of(self, body: &mut ResponseBody) {
        self.connection.streams.fetch_add(1, Relaxed);
        body.set_connection(Arc::<Connection<C>>::clone(&self.connection));
    }
}

impl<C: Send + Sync> SharedEnded for Connection<C> {
    fn ended(&self, _: End<'_>) {
        self.streams.fetch_sub(1, Relaxed);
    }
}

impl<C> Drop for Lent<C> {
    fn drop(&mut self) {
        self.connection.streams.fetch_sub(1, Relaxed);
    }
}

impl<C> fmt::Debug for Pool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.nodes.load();
        let counts = nodes
            .iter()
            .map(|(address, node)| (address, node.open.load().len()));
        f.write_str("Pool ")?;
        f.debug_map().entries(counts).finish()
    }
}

impl<C> fmt::Debug for Lent<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lent")
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use super::*;

    struct Node {
        pool: Pool<u32>,
        options: PoolOptions,
        opened: Cell<u32>,
    }

    impl Node {
        fn new(options: PoolOptions) -> Self {
            Self {
                pool: Pool::default(),
                options,
                opened: Cell::new(0),
            }
        }

        fn lend(&self, address: &str) -> Lent<u32> {
            let open = || {
                self.opened.set(self.opened.get() + 1);
                Ok(self.opened.get())
            };
            self.pool.lend(address, &self.options, open).unwrap()
        }
    }

    fn options() -> PoolOptions {
        PoolOptions {
            size: 2,
            max_streams: 2,
            ..PoolOptions::default()
        }
    }

    #[tokio::test]
    async fn calls_share_a_connection_until_it_is_full() {
        let node = Node::new(options());
        let lent: Vec<_> = (0..3).map(|_| node.lend("a:1")).collect();
        let used: Vec<_> = lent.iter().map(Lent::handle).collect();
        assert_eq!(used, [1, 1, 2]);
    }

    #[tokio::test]
    async fn past_its_size_the_pool_gives_the_least_busy_one() {
        let node = Node::new(options());
        let mut lent: Vec<_> = (0..5).map(|_| node.lend("a:1")).collect();
        assert_eq!(node.opened.get(), 2);
        lent.remove(0);
        assert_eq!(node.lend("a:1").handle(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_connection_takes_no_new_call() {
        let mut options = options();
        options.ttl = Some(Duration::from_secs(60));
        let node = Node::new(options);
        let early = node.lend("a:1");
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!((early.handle(), node.lend("a:1").handle()), (1, 2));
    }

    #[tokio::test]
    async fn a_node_that_is_not_used_any_more_is_forgotten() {
        let node = Node::new(options());
        drop(node.lend("gone:1"));
        for address in ["a:1", "b:1", "c:1"] {
            drop(node.lend(address));
        }
        assert!(!node.pool.nodes.load().contains_key("gone:1"));
    }

    #[tokio::test]
    async fn a_connection_that_cannot_be_made_leaves_nothing() {
        let pool: Pool<u32> = Pool::default();
        let failed = pool.lend("a:1", &options(), || Err(Error::transport("no")));
        assert!(failed.is_err());
        assert!(pool.lend("a:1", &options(), || Ok(7)).unwrap().handle() == 7);
    }
}
