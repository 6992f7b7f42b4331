//! A dial that several calls wait for.
//!
//! A task drives it on: whoever polls its calls may leave them alone for a while, and the time of the dial would be over when the next
//! call came to it.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
};

use futures_util::{FutureExt, future::Shared};
use tokio::time::Instant;
use tower_micro_call::BoxFuture;
use tower_micro_selector::TaskGuard;

use super::{failure::Failure, link::Link, slot::Slot};
use crate::task;

/// What comes of a dial.
pub(super) type Dialled = Result<Arc<Link>, Arc<Failure>>;

/// Each clone is somebody who waits.
#[derive(Clone)]
pub(super) struct Dialling {
    end: Shared<BoxFuture<Dialled>>,
    /// `None` of one that had ended before anybody waited.
    waiters: Option<Arc<Waiters>>,
}

/// Waits for nothing, and finds the dial as long as somebody does.
pub(super) struct WeakDialling(Weak<Waiters>);

/// All who wait for a dial. When the last of them goes away it ends, and `slot` is told.
pub(super) struct Waiters {
    end: Shared<BoxFuture<Dialled>>,
    slot: Weak<Slot>,
    number: u64,
    since: Instant,
    _driver: Option<TaskGuard>,
}

impl Dialling {
    /// The `number`th dial of `slot`, which comes to `end`.
    pub(super) fn begin(slot: &Arc<Slot>, number: u64, end: BoxFuture<Dialled>) -> Self {
        let end = end.shared();
        let driver = task::spawn(Box::pin(end.clone().map(drop)));
        let waiters = Waiters {
            end: end.clone(),
            slot: Arc::downgrade(slot),
            number,
            since: Instant::now(),
            // Without a runtime it is driven by who waits.
            _driver: driver.ok(),
        };
        let waiters = Some(Arc::new(waiters));
        Self { end, waiters }
    }

    /// One that has come to `link`.
    pub(super) fn ended(link: Arc<Link>) -> Self {
        let end: BoxFuture<Dialled> = Box::pin(std::future::ready(Ok(link)));
        Self {
            end: end.shared(),
            waiters: None,
        }
    }

    pub(super) fn downgrade(&self) -> Option<WeakDialling> {
        let waiters = self.waiters.as_ref()?;
        Some(WeakDialling(Arc::downgrade(waiters)))
    }

    /// Whether it is the `number`th.
    pub(super) fn is_at(&self, number: u64) -> bool {
        let waiters = self.waiters.as_ref();
        waiters.is_some_and(|waiters| waiters.number == number)
    }

    #[cfg(test)]
    pub(super) fn is(&self, other: &Self) -> bool {
        self.end.ptr_eq(&other.end)
    }
}

impl WeakDialling {
    pub(super) fn upgrade(&self) -> Option<Dialling> {
        let waiters = self.0.upgrade()?;
        let end = waiters.end.clone();
        let waiters = Some(waiters);
        Some(Dialling { end, waiters })
    }
}

impl Future for Dialling {
    type Output = Dialled;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Dialled> {
        self.end.poll_unpin(cx)
    }
}

impl Drop for Waiters {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.upgrade() {
            slot.given_up(self.number, self.since.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Mutex, task::Waker, time::Duration};

    use http::HeaderValue;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        time::sleep,
    };
    use tower_micro_registry::Node;

    use super::{
        super::{H2, origin::Origin},
        *,
    };

    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

    /// Answers with SETTINGS when it has been spoken to, and stays until it is left.
    async fn answer(mut peer: DuplexStream) {
        peer.read_u8().await.unwrap();
        peer.write_all(&SETTINGS).await.unwrap();
        while peer.read_u8().await.is_ok() {}
    }

    #[tokio::test(start_paused = true)]
    async fn a_dial_goes_on_while_those_who_wait_for_it_are_not_polled() {
        let (near, peer) = duplex(1 << 16);
        tokio::spawn(answer(peer));
        let near = Mutex::new(Some(near));
        let connect = H2::new().dial(move |_: &Node| {
            let near = near.lock().unwrap().take();
            sleep(Duration::from_millis(1))
                .map(|()| near.ok_or(io::ErrorKind::ConnectionRefused.into()))
        });
        let origin = Origin::new(false, "a:1".parse().unwrap(), HeaderValue::from_static("a"));
        let timeout = Duration::from_secs(1);
        let node = Node::new("a", "a:1");
        let slot = Slot::new(connect, node, origin, timeout, &Arc::default());
        let mut first = slot.dial(None).unwrap();
        let mut context = Context::from_waker(Waker::noop());
        assert!(first.poll_unpin(&mut context).is_pending());
        sleep(timeout * 3).await;
        let second = slot.dial(None).unwrap();
        assert!(second.await.is_ok());
        assert!(first.await.is_ok());
    }
}
