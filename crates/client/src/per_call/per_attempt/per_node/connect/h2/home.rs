//! The runtime in which a dial has begun.

use std::{
    future::{Future, pending, poll_fn},
    pin::pin,
};

use tokio::runtime::Handle;

/// To this one belong the sockets, timers and tasks of a dial, and of the connection that comes of it: calls of several runtimes wait for a
/// dial, and any of them may be the one that drives it on.
pub(super) struct Home(Handle);

impl Home {
    pub(super) fn here() -> Self {
        Self(Handle::current())
    }

    /// `future`, in this runtime whoever polls it.
    pub(super) async fn poll_in<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            let _entered = self.0.enter();
            future.as_mut().poll(cx)
        })
        .await
    }

    /// Whether it takes no tasks any more: one that has ended throws them away at once.
    pub(super) fn has_ended(&self) -> bool {
        let task = self.0.spawn(pending::<()>());
        let is_gone = task.is_finished();
        task.abort();
        is_gone
    }
}
