//! The task of one connection: it reads and writes the socket until nobody needs it any more.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use h2::{Reason, client::Connection};

use super::{
    dial::Dialled,
    keepalive::Pinger,
    link::{Link, LinkState},
};

/// Ends when the last handle to the connection and its last stream are gone, when it breaks, or when the peer is found to have gone.
pub(super) struct Driver {
    wire: Connection<Dialled, Bytes>,
    pinger: Option<Pinger>,
    state: Arc<LinkState>,
    doublings: Arc<AtomicU32>,
}

impl Driver {
    pub(super) fn new(
        wire: Connection<Dialled, Bytes>,
        pinger: Option<Pinger>,
        link: &Link,
        doublings: Arc<AtomicU32>,
    ) -> Self {
        Self {
            wire,
            pinger,
            state: link.state(),
            doublings,
        }
    }

    /// What the peer has said may be for calls that wait: GOAWAY, SETTINGS.
    fn look_for_those_who_wait(&self) {
        let queue = self.state.queue();
        if queue.is_empty() {
            return;
        }
        if let Some(link) = self.state.link() {
            link.look();
            queue.serve();
        }
    }

    fn ended(&self, end: Result<(), h2::Error>) {
        if end.is_err_and(|error| is_pinged_too_often(&error)) {
            self.doublings.fetch_add(1, Relaxed);
        }
    }
}

/// Whether the peer says so (gRFC A8). It may want calm for another reason, which has nothing to do with pings.
fn is_pinged_too_often(error: &h2::Error) -> bool {
    let wants_calm = error.is_go_away()
        && error.is_remote()
        && error.reason() == Some(Reason::ENHANCE_YOUR_CALM);
    // h2 tells the debug data in no other way.
    wants_calm && error.to_string().ends_with(r#"(b"too_many_pings")"#)
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if let Some(pinger) = &mut this.pinger {
            let is_idle = this.state.is_idle();
            if let Poll::Ready(timeout) = pinger.poll_gone(is_idle, cx) {
                this.state
                    .give_up(format!("no answer to a ping within {timeout:?}"));
                return Poll::Ready(());
            }
        }
        match Pin::new(&mut this.wire).poll(cx) {
            Poll::Ready(end) => {
                this.ended(end);
                Poll::Ready(())
            }
            Poll::Pending => {
                this.look_for_those_who_wait();
                Poll::Pending
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.state.close();
    }
}
