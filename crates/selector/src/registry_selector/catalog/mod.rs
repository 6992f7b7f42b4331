use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tower_micro_registry::{Change, Node, Service};

use super::snapshot::{self, Snapshot};
use crate::health::Admission;
use crate::strategy::anywhere;
use crate::{Candidate, Candidates, Strategy};

/// What the registry said of one service, kept so that one more word costs no more than that word.
///
/// Holds what [`Change::apply`] would make of the same changes, in another order: a node keeps its
/// place while others come and go, so that those who go round do not lose theirs.
#[derive(Debug)]
pub(super) struct Catalog {
    parts: Vec<Part>,
    strategy: Arc<dyn Strategy>,
    admission: Option<Arc<Admission>>,
    cursor: Arc<AtomicUsize>,
    /// What was published last, and what before that.
    published: [Candidates; 2],
}

impl Catalog {
    pub(super) fn new(strategy: Arc<dyn Strategy>, admission: Option<Arc<Admission>>) -> Self {
        let (parts, published) = (Vec::new(), Default::default());
        Self {
            parts,
            strategy,
            admission,
            cursor: Arc::new(anywhere()),
            published,
        }
    }

    /// The same, and nothing is left here.
    pub(super) fn take(&mut self) -> Self {
        Self {
            parts: mem::take(&mut self.parts),
            strategy: Arc::clone(&self.strategy),
            admission: self.admission.clone(),
            cursor: Arc::clone(&self.cursor),
            published: mem::take(&mut self.published),
        }
    }

    /// Makes the change. Whether anything is different now.
    pub(super) fn apply(&mut self, change: Change) -> bool {
        match change {
            Change::Put(service) => self.put(service),
            Change::Delete(service) => self.delete(&service),
            Change::Reset(services) => self.reset(services),
            // A kind of change that is not known here: nothing can be told from it.
            _ => false,
        }
    }

    fn put(&mut self, service: Service) -> bool {
        if service.nodes.is_empty() {
            return false;
        }
        match self.parts.iter_mut().find(|part| part.is_of(&service)) {
            Some(part) => part.put(service),
            None => {
                let part = Part::new(service, None, self.admission.clone());
                self.parts.push(part);
                true
            }
        }
    }

    fn delete(&mut self, gone: &Service) -> bool {
        let before = self.parts.len();
        if gone.nodes.is_empty() {
            let parts = self
                .parts
                .extract_if(.., |part| part.service.name == gone.name);
            parts.for_each(|part| part.nodes.iter().for_each(|node| node.depart()));
            return self.parts.len() != before;
        }
        let Some(part) = self.parts.iter_mut().find(|part| part.is_of(gone)) else {
            return false;
        };
        let forgot = gone
            .nodes
            .iter()
            .filter(|node| part.forget(&node.id))
            .count();
        self.parts
            .retain(|part| !part.is_of(gone) || !part.places.is_empty());
        forgot > 0 || self.parts.len() != before
    }

    fn reset(&mut self, services: Vec<Service>) -> bool {
        let before = mem::take(&mut self.parts);
        let mut each_version_once = Vec::new();
        Change::Reset(services).apply(&mut each_version_once);
        for service in each_version_once {
            let known = before.iter().find(|part| part.is_of(&service));
            let part = Part::new(service, known, self.admission.clone());
            self.parts.push(part);
        }
        let nodes_before = before.iter().flat_map(|part| &part.nodes);
        nodes_before
            .filter(|node| !self.has(node))
            .for_each(|node| node.depart());
        let same = self
            .parts
            .iter()
            .zip(&before)
            .all(|(new, old)| new.is_same_as(old));
        !same || self.parts.len() != before.len()
    }

    /// What is known now, to be published.
    pub(super) fn snapshot(&mut self) -> Snapshot {
        let (list, cursor) = (self.list(), Arc::clone(&self.cursor));
        let freeze = if self.parts.iter().any(|part| part.weighted > 0) {
            Candidates::frozen
        } else {
            Candidates::unweighted
        };
        let candidates = freeze(list, Some(cursor), self.admission.clone());
        if self.published[0].ring().is_some() {
            // Calls went by it, and are not to wait until it is sorted.
            candidates.prepare_ring();
        }
        self.published = [candidates.clone(), mem::take(&mut self.published[0])];
        let skipped = self.parts.iter().map(Part::skipped).sum();
        if let Some(admission) = &self.admission {
            admission.count_members(candidates.len(), |candidate| self.has(candidate));
        }
        Snapshot::new(
            &candidates,
            self.views(),
            skipped,
            Arc::clone(&self.strategy),
            self.admission.clone(),
        )
    }

    fn has(&self, candidate: &Candidate) -> bool {
        let mut known = self
            .parts
            .iter()
            .filter_map(|part| part.candidate(&candidate.id));
        known.any(|known| known.is_same_as(candidate))
    }

    /// All candidates. Counting the references of ten thousand takes longer than anything else
    /// here, so the list from the time before last is written over, if no call has it any more:
    /// most of it is right already.
    fn list(&mut self) -> Vec<Arc<Candidate>> {
        let mut list = mem::take(&mut self.published[1])
            .into_unshared()
            .unwrap_or_default();
        let mut place = 0;
        for part in &self.parts {
            write_over(&mut list, place, &part.nodes);
            place += part.nodes.len();
        }
        list.truncate(place);
        list
    }

    fn views(&self) -> Vec<snapshot::Part> {
        let mut start = 0;
        let part = |part: &Part| {
            let nodes = start..start + part.nodes.len();
            start = nodes.end;
            snapshot::Part {
                service: Arc::clone(&part.service),
                nodes,
            }
        };
        self.parts.iter().map(part).collect()
    }
}

/// Makes what stands in `list` from `start` on be `nodes`. Before them it is full.
fn write_over(list: &mut Vec<Arc<Candidate>>, start: usize, nodes: &[Arc<Candidate>]) {
    let known = &mut list[start..];
    let (there, more) = nodes.split_at(nodes.len().min(known.len()));
    for (known, node) in known.iter_mut().zip(there) {
        if !Arc::ptr_eq(known, node) {
            *known = Arc::clone(node);
        }
    }
    list.extend_from_slice(more);
}

/// One version of the service.
#[derive(Debug)]
struct Part {
    /// Without its nodes.
    service: Arc<Service>,
    version: Arc<str>,
    nodes: Vec<Arc<Candidate>>,
    /// How many of them have a weight of their own.
    weighted: usize,
    /// Where in `nodes` an id stands. `None`: nowhere, since its address has no form.
    places: HashMap<String, Option<usize>>,
    admission: Option<Arc<Admission>>,
}

impl Part {
    /// A version that comes with all its nodes; those that were known `before` stay who they were.
    fn new(mut service: Service, before: Option<&Self>, admission: Option<Arc<Admission>>) -> Self {
        let nodes = mem::take(&mut service.nodes);
        let version = service.version.as_str().into();
        let mut part = Self {
            service: service.into(),
            version,
            nodes: Vec::new(),
            weighted: 0,
            places: HashMap::new(),
            admission,
        };
        for node in nodes {
            part.learn(node, before);
        }
        part
    }

    fn is_of(&self, service: &Service) -> bool {
        *self.version == *service.version && self.service.name == service.name
    }

    fn is_same_as(&self, other: &Self) -> bool {
        let same = |(one, another)| Arc::ptr_eq(one, another);
        self.service == other.service
            && self.places.len() == other.places.len()
            && self.nodes.len() == other.nodes.len()
            && self.nodes.iter().zip(&other.nodes).all(same)
    }

    fn put(&mut self, mut service: Service) -> bool {
        let nodes = mem::take(&mut service.nodes);
        let mut changed = *self.service != service;
        if changed {
            self.service = Arc::new(service);
        }
        for node in nodes {
            changed |= self.learn(node, None);
        }
        changed
    }

    fn learn(&mut self, node: Node, before: Option<&Self>) -> bool {
        if node.check_address().is_err() {
            return self.skip(node.id);
        }
        match self.place(&node.id) {
            Some(place) => self.renew(place, node),
            None => self.add(match before.and_then(|before| before.candidate(&node.id)) {
                Some(known) => known.announced_as(node),
                None => {
                    let version = Arc::clone(&self.version);
                    Candidate::admitted_by(self.admission.as_ref(), node, version)
                }
            }),
        }
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.places.get(id).copied().flatten()
    }

    fn candidate(&self, id: &str) -> Option<&Arc<Candidate>> {
        self.place(id).map(|place| &self.nodes[place])
    }

    fn renew(&mut self, place: usize, node: Node) -> bool {
        let new = self.nodes[place].announced_as(node);
        let old = mem::replace(&mut self.nodes[place], new);
        let new = &self.nodes[place];
        self.weighted += usize::from(new.is_weighted());
        self.weighted -= usize::from(old.is_weighted());
        if !new.is_same_as(&old) {
            old.depart();
        }
        !Arc::ptr_eq(&old, new)
    }

    fn add(&mut self, candidate: Arc<Candidate>) -> bool {
        self.places
            .insert(candidate.id.clone(), Some(self.nodes.len()));
        self.weighted += usize::from(candidate.is_weighted());
        self.nodes.push(candidate);
        true
    }

    fn skip(&mut self, id: String) -> bool {
        let known = self.places.get(&id).copied();
        self.forget(&id);
        self.places.insert(id, None);
        known != Some(None)
    }

    /// The last node takes the place of the one that goes: only one place changes.
    fn forget(&mut self, id: &str) -> bool {
        let Some(known) = self.places.remove(id) else {
            return false;
        };
        if let Some(place) = known {
            let gone = self.nodes.swap_remove(place);
            gone.depart();
            self.weighted -= usize::from(gone.is_weighted());
            if let Some(moved) = self.nodes.get(place) {
                self.places.insert(moved.id.clone(), Some(place));
            }
        }
        true
    }

    fn skipped(&self) -> usize {
        self.places.len() - self.nodes.len()
    }
}

#[cfg(test)]
mod tests;
