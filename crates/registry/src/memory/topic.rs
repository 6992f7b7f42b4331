//! One service name: its set, when its nodes are due, and what its watchers have yet to read.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::leases::Leases;
use crate::{Change, Node, Service, change::gather};

/// How many changes a watcher may fall behind before it gets a reset.
pub(super) const LONGEST_LOG: usize = 256;

#[derive(Default)]
pub(super) struct Topic {
    set: Vec<Service>,
    leases: Leases,
    /// The last changes, the newest of which made the set what it is at `revision`.
    log: VecDeque<Change>,
    revision: u64,
    watchers: usize,
    wake: Arc<watch::Sender<()>>,
    /// Whether watchers are to be woken.
    has_news: bool,
}

impl Topic {
    pub(super) fn join(&mut self) -> watch::Receiver<()> {
        self.watchers += 1;
        self.wake.subscribe()
    }

    pub(super) fn leave(&mut self) {
        self.watchers -= 1;
        if self.watchers == 0 {
            self.log.clear();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.watchers == 0 && self.is_empty()
    }

    pub(super) fn register(&mut self, service: Service, lease: Option<Instant>) {
        let due = self.leases.next();
        for node in &service.nodes {
            self.leases.set(&service.version, &node.id, lease);
        }
        let service = last_words(service);
        if !self.knows(&service) {
            self.record(Change::Put(service));
        } else if self
            .leases
            .next()
            .is_some_and(|next| due.is_none_or(|due| next < due))
        {
            self.has_news = true; // the watchers sleep until `due`, which is too late now
        }
    }

    pub(super) fn deregister(&mut self, service: &Service) {
        for node in &service.nodes {
            self.leases.set(&service.version, &node.id, None);
        }
        let ids = service.nodes.iter().map(|node| node.id.as_str()).collect();
        self.remove(&service.version, &ids);
    }

    pub(super) fn expire(&mut self, now: Instant) {
        let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (version, id) in self.leases.take_expired(now) {
            versions.entry(version).or_default().push(id);
        }
        for (version, ids) in versions {
            self.remove(&version, &ids.iter().map(String::as_str).collect());
        }
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.leases.next()
    }

    /// What comes after the revision `seen`, and which revision that is; none if `seen` is the last.
    pub(super) fn read(&self, seen: Option<u64>) -> Option<(Change, u64)> {
        let behind = seen.map(|seen| (self.revision - seen) as usize);
        match behind {
            Some(0) => None,
            Some(behind) if behind <= self.log.len() => {
                let change = self.log[self.log.len() - behind].clone();
                seen.map(|seen| (change, seen + 1))
            }
            _ => Some((Change::Reset(self.set.clone()), self.revision)),
        }
    }

    fn knows(&self, service: &Service) -> bool {
        let known = self
            .set
            .iter()
            .find(|known| known.version == service.version);
        known.is_some_and(|known| {
            known.metadata == service.metadata
                && known.endpoints == service.endpoints
                && has_all(&known.nodes, &service.nodes)
        })
    }

    fn remove(&mut self, version: &str, ids: &HashSet<&str>) {
        let Some(known) = self.set.iter().find(|known| known.version == version) else {
            return;
        };
        let is_gone = |node: &&Node| ids.contains(node.id.as_str());
        let nodes: Vec<Node> = known.nodes.iter().filter(is_gone).cloned().collect();
        if !nodes.is_empty() {
            let gone = Service {
                nodes,
                ..without_nodes(known)
            };
            self.record(Change::Delete(gone));
        }
    }

    fn record(&mut self, change: Change) {
        change.clone().apply(&mut self.set);
        self.revision += 1;
        if self.watchers > 0 {
            self.log.push_back(change);
        }
        if self.log.len() > LONGEST_LOG {
            self.log.pop_front();
        }
        self.has_news = true;
    }

    /// Whom to tell that there is news. Wakers are anybody's code, and may ask the registry: not while its lock is held.
    pub(super) fn take_news(&mut self) -> Option<Arc<watch::Sender<()>>> {
        std::mem::take(&mut self.has_news).then(|| Arc::clone(&self.wake))
    }
}

/// The service as a fold would keep it: of two nodes with one id, the last.
fn last_words(service: Service) -> Service {
    let mut alone = gather(vec![service]);
    alone.pop().expect("one service leaves one")
}

/// Each id must be in `wanted` once.
fn has_all(nodes: &[Node], wanted: &[Node]) -> bool {
    let by_id: HashMap<_, _> = wanted.iter().map(|node| (node.id.as_str(), node)).collect();
    let is_wanted = |node: &&Node| by_id.get(node.id.as_str()) == Some(node);
    nodes.iter().filter(is_wanted).count() == wanted.len()
}

fn without_nodes(service: &Service) -> Service {
    Service {
        name: service.name.clone(),
        version: service.version.clone(),
        metadata: service.metadata.clone(),
        endpoints: service.endpoints.clone(),
        nodes: Vec::new(),
    }
}
