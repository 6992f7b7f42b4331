use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Instant};
use crate::{Candidate, Mark};

/// How many failures, without a success in between, list an id (go-micro `blacklist.go`, `count`).
const COUNT: u32 = 3;

/// How old an entry grows at least (go-micro `blacklist.go`, `ttl`), and how often old ones are looked for.
const TTL: Duration = Duration::from_secs(30);

/// go-micro's blacklist: node ids, across all services of a selector.
///
/// go-micro drops old entries by a ticker of 30 s. Here the same is worked out when somebody looks: what the
/// last tick would have dropped is gone.
pub(crate) struct Blacklist {
    clock: Arc<dyn Clock>,
    began: Instant,
    /// As many as `entries` has: while it is 0, nobody locks.
    listed: AtomicUsize,
    entries: Mutex<HashMap<String, Entry>>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    failures: u32,
    until: Instant,
}

impl Blacklist {
    pub(crate) fn new(clock: &Arc<dyn Clock>) -> Self {
        Self {
            clock: Arc::clone(clock),
            began: clock.now(),
            listed: AtomicUsize::new(0),
            entries: Mutex::default(),
        }
    }

    pub(crate) fn mark(&self, candidate: &Candidate, mark: Mark<'_>) {
        let failed = !matches!(mark, Mark::Success);
        if !failed && self.is_empty() {
            return;
        }
        let mut entries = self.entries();
        if failed {
            let until = self.clock.now() + TTL;
            let entry = entries
                .entry(candidate.id.clone())
                .or_insert(Entry { failures: 0, until });
            entry.failures = entry.failures.saturating_add(1);
            entry.until = until;
        } else {
            entries.remove(&candidate.id);
        }
        self.listed.store(entries.len(), Relaxed);
    }

    /// Whether nobody has failed lately.
    pub(crate) fn is_empty(&self) -> bool {
        self.listed.load(Relaxed) == 0
    }

    /// Those of `candidates` that are not listed.
    pub(crate) fn leaves(&self, candidates: &[Arc<Candidate>]) -> Vec<Arc<Candidate>> {
        let entries = self.entries();
        let is_listed = |id: &str| entries.get(id).is_some_and(|entry| entry.failures >= COUNT);
        let left = candidates
            .iter()
            .filter(|candidate| !is_listed(&candidate.id));
        left.cloned().collect()
    }

    /// What the last tick left.
    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let past = self.clock.now().saturating_duration_since(self.began);
        let tick = self.began + Duration::from_secs(past.as_secs() / TTL.as_secs() * TTL.as_secs());
        entries.retain(|_, entry| entry.until > tick);
        self.listed.store(entries.len(), Relaxed);
        entries
    }
}

impl fmt::Debug for Blacklist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blacklist")
            .field("entries", &*self.entries())
            .finish_non_exhaustive()
    }
}
