//! One connection, and the calls on it.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use tokio::time::Instant;
use tower_micro_call::{BoxFuture, End, ResponseBody, SharedEnded};
use tower_micro_selector::TaskGuard;

use crate::{PoolOptions, task};

/// One connection.
///
/// Its pool holds one reference to it, and each call that it carries another one: their number is the number of calls.
pub(super) struct Connection<C> {
    pub(super) inner: C,
    /// Whether a call came since this was asked last.
    used: AtomicBool,
    opened: Instant,
    /// Opens it while no call does.
    opening: Mutex<Option<TaskGuard>>,
}

impl<C> Connection<C> {
    pub(super) fn new(inner: C, opened: Instant) -> Arc<Self> {
        Arc::new(Self {
            inner,
            used: AtomicBool::new(true),
            opened,
            opening: Mutex::default(),
        })
    }

    /// How many calls it carries, seen from the pool.
    pub(super) fn streams(self: &Arc<Self>) -> usize {
        Arc::strong_count(self) - 1
    }

    /// The same for one that may have been let go of.
    pub(super) fn streams_of(way: &Weak<Self>) -> Option<usize> {
        way.strong_count().checked_sub(1)
    }

    /// The same, seen by a call that may get it, and so holds it already.
    pub(super) fn streams_beside(self: &Arc<Self>) -> usize {
        // The pool may just have let go of it.
        Arc::strong_count(self).saturating_sub(2)
    }

    /// Whether it carries a call, or has begun one since it was asked last.
    pub(super) fn take_use(self: &Arc<Self>) -> bool {
        self.used.swap(false, Relaxed) || self.is_used()
    }

    /// The same, and it may be asked again.
    pub(super) fn is_used(self: &Arc<Self>) -> bool {
        self.used.load(Relaxed) || self.streams() > 0
    }

    pub(super) fn is_older(&self, options: &PoolOptions, now: Option<Instant>) -> bool {
        let (Some(ttl), Some(now)) = (options.ttl, now) else {
            return false;
        };
        now.saturating_duration_since(self.opened) > ttl
    }

    /// Has a task open it, which ends with it.
    pub(super) fn open_by_itself(&self, opening: BoxFuture<()>) {
        // Without a runtime there is no call either, and the next one opens it.
        let task = task::spawn(opening).ok();
        *self.opening.lock().unwrap_or_else(PoisonError::into_inner) = task;
    }
}

/// A connection lent to one call, until it is dropped or the call's answer has ended.
pub(in super::super) struct Lent<C> {
    connection: Arc<Connection<C>>,
}

impl<C> Lent<C> {
    pub(super) fn of(connection: Arc<Connection<C>>) -> Self {
        if !connection.used.load(Relaxed) {
            connection.used.store(true, Relaxed);
        }
        Self { connection }
    }
}

impl<C: Clone + Send + Sync + 'static> Lent<C> {
    /// A handle to it.
    pub(in super::super) fn handle(&self) -> C {
        self.connection.inner.clone()
    }

    /// Lends it for as long as `body` goes on.
    pub(in super::super) fn until_end_of(self, body: &mut ResponseBody) {
        body.set_connection(self.connection);
    }
}

impl<C: Send + Sync> SharedEnded for Connection<C> {
    /// What counts is the reference, which is dropped after this.
    fn ended(&self, _: End<'_>) {}
}

impl<C> fmt::Debug for Lent<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lent")
    }
}
