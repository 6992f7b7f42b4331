//! How many connections are open.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// How many connections of a connector are open.
#[derive(Debug, Default)]
pub(super) struct Census(AtomicUsize);

/// One of them.
pub(super) struct Counted(Arc<Census>);

impl Census {
    /// One more, until it is dropped.
    pub(super) fn count(self: &Arc<Self>) -> Counted {
        self.0.fetch_add(1, Relaxed);
        Counted(Arc::clone(self))
    }

    pub(super) fn is_any(&self) -> bool {
        self.0.load(Relaxed) > 0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}
