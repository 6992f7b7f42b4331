//! All topics under one lock, which is never held across an await.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use super::topic::Topic;
use crate::ServiceName;

/// Wakes watchers, once the lock is free.
fn tell(news: impl IntoIterator<Item = Arc<watch::Sender<()>>>) {
    for wake in news {
        wake.send_replace(());
    }
}

#[derive(Default)]
pub(super) struct Store {
    topics: Mutex<BTreeMap<ServiceName, Topic>>,
}

impl Store {
    /// The only door to a topic: what has expired is gone before, and a topic nobody needs is gone after.
    pub(super) fn visit<T>(&self, name: &ServiceName, act: impl FnOnce(&mut Topic) -> T) -> T {
        let mut topics = self.lock();
        let topic = topics.entry(name.clone()).or_default();
        topic.expire(Instant::now());
        let result = act(topic);
        let news = topic.take_news();
        if topic.is_idle() {
            topics.remove(name);
        }
        drop(topics);
        tell(news);
        result
    }

    pub(super) fn names(&self) -> Vec<ServiceName> {
        let mut topics = self.lock();
        let now = Instant::now();
        let mut news = Vec::new();
        topics.retain(|_, topic| {
            topic.expire(now);
            news.extend(topic.take_news());
            !topic.is_idle()
        });
        let occupied = topics.iter().filter(|(_, topic)| !topic.is_empty());
        let names = occupied.map(|(name, _)| name.clone()).collect();
        drop(topics);
        tell(news);
        names
    }

    #[cfg(test)]
    pub(super) fn topics(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ServiceName, Topic>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
