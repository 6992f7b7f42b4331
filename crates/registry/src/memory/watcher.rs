//! One watch: reads the log of its topic, and wakes when the next node is due.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::store::Store;
use super::topic::Topic;
use crate::{Change, Changes, ServiceName};

pub(super) struct Watcher {
    store: Arc<Store>,
    service: ServiceName,
    wake: watch::Receiver<()>,
    /// The revision its reader has come to; none before the first set.
    seen: Option<u64>,
}

enum Look {
    Change(Change),
    /// Nothing new before that moment, unless something is registered.
    Quiet(Option<Instant>),
}

impl Watcher {
    pub(super) fn new(store: Arc<Store>, service: ServiceName) -> Self {
        let wake = store.visit(&service, Topic::join);
        Self {
            store,
            service,
            wake,
            seen: None,
        }
    }

    pub(super) fn into_changes(self) -> Changes {
        stream::unfold(self, |mut watcher| async move {
            let change = watcher.next().await;
            Some((Ok(change), watcher))
        })
        .boxed()
    }

    /// What is registered between the look and the wait has not been seen by `wake`, and ends the wait at once.
    async fn next(&mut self) -> Change {
        loop {
            match self.look() {
                Look::Change(change) => return change,
                Look::Quiet(expiry) => self.wait(expiry).await,
            }
        }
    }

    fn look(&mut self) -> Look {
        let seen = &mut self.seen;
        self.store
            .visit(&self.service, |topic| match topic.read(*seen) {
                Some((change, revision)) => {
                    *seen = Some(revision);
                    Look::Change(change)
                }
                None => Look::Quiet(topic.next_expiry()),
            })
    }

    async fn wait(&mut self, expiry: Option<Instant>) {
        const OUTLIVED: &str = "a topic stays while it has watchers";
        match expiry {
            None => self.wake.changed().await.expect(OUTLIVED),
            Some(expiry) => timeout_at(expiry, self.wake.changed())
                .await
                .map_or((), |woken| woken.expect(OUTLIVED)),
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.store.visit(&self.service, Topic::leave);
    }
}
