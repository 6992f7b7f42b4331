//! Until when each node stays.

use std::collections::{BTreeSet, HashMap};

use tokio::time::Instant;

/// A version and a node id.
type Key = (String, String);

/// Nodes with a time to live; those without one are not in here.
#[derive(Default)]
pub(super) struct Leases {
    ends: HashMap<Key, Instant>,
    order: BTreeSet<(Instant, Key)>,
}

impl Leases {
    /// Gives a node a new end, or none.
    pub(super) fn set(&mut self, version: &str, id: &str, end: Option<Instant>) {
        let key = (version.to_owned(), id.to_owned());
        if let Some(old) = self.ends.remove(&key) {
            self.order.remove(&(old, key.clone()));
        }
        if let Some(end) = end {
            self.ends.insert(key.clone(), end);
            self.order.insert((end, key));
        }
    }

    /// The end that comes first.
    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(end, _)| *end)
    }

    /// Takes out what has ended by `now`, the first end first.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<Key> {
        let mut expired = Vec::new();
        while self.next().is_some_and(|end| end <= now) {
            let (_, key) = self.order.pop_first().expect("there is a next end");
            self.ends.remove(&key);
            expired.push(key);
        }
        expired
    }
}
