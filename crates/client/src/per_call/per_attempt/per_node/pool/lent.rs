//! One connection, and the calls on it.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::time::Instant;
use tower_micro_call::{BoxFuture, End, ResponseBody, SharedEnded};
use tower_micro_selector::TaskGuard;

use crate::{PoolOptions, task};

/// One connection, and how many calls it carries.
pub(super) struct Connection<C> {
    pub(super) inner: C,
    streams: AtomicUsize,
    /// Whether a call came since this was asked last.
    used: AtomicBool,
    opened: Instant,
    /// Opens it while no call does.
    opening: Mutex<Option<TaskGuard>>,
}

impl<C> Connection<C> {
    pub(super) fn new(inner: C, opened: Instant) -> Self {
        Self {
            inner,
            streams: AtomicUsize::new(0),
            used: AtomicBool::new(true),
            opened,
            opening: Mutex::default(),
        }
    }

    pub(super) fn streams(&self) -> usize {
        self.streams.load(Relaxed)
    }

    /// Whether it carries a call, or has begun one since it was asked last.
    pub(super) fn take_use(&self) -> bool {
        self.used.swap(false, Relaxed) || self.is_used()
    }

    /// The same, and it may be asked again.
    pub(super) fn is_used(&self) -> bool {
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
    connection: Option<Arc<Connection<C>>>,
}

impl<C> Lent<C> {
    pub(super) fn of(connection: &Arc<Connection<C>>) -> Self {
        connection.streams.fetch_add(1, Relaxed);
        if !connection.used.load(Relaxed) {
            connection.used.store(true, Relaxed);
        }
        let connection = Some(Arc::clone(connection));
        Self { connection }
    }
}

impl<C: Clone + Send + Sync + 'static> Lent<C> {
    /// A handle to it.
    pub(in super::super) fn handle(&self) -> C {
        let connection = self.connection.as_ref();
        let connection = connection.expect("it is there until it is lent to a body");
        connection.inner.clone()
    }

    /// Lends it for as long as `body` goes on.
    pub(in super::super) fn until_end_of(mut self, body: &mut ResponseBody) {
        if let Some(connection) = self.connection.take() {
            body.set_connection(connection);
        }
    }
}

impl<C: Send + Sync> SharedEnded for Connection<C> {
    fn ended(&self, _: End<'_>) {
        self.streams.fetch_sub(1, Relaxed);
    }
}

impl<C> Drop for Lent<C> {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.streams.fetch_sub(1, Relaxed);
        }
    }
}

impl<C> fmt::Debug for Lent<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lent")
    }
}
