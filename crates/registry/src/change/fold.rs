//! What each change does to a set.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::mem;

use crate::{Node, Service};

/// Makes one service of all that tell of the same version, in the order in which versions first appear.
pub(crate) fn gather(services: Vec<Service>) -> Vec<Service> {
    let mut places = HashMap::new();
    let mut set: Vec<Service> = Vec::new();
    for service in services {
        match places.entry((service.name.clone(), service.version.clone())) {
            Entry::Occupied(place) => join(&mut set[*place.get()], service),
            Entry::Vacant(place) => {
                place.insert(set.len());
                set.push(service);
            }
        }
    }
    set.iter_mut()
        .for_each(|service| keep_last(&mut service.nodes));
    set
}

fn join(known: &mut Service, mut news: Service) {
    let mut nodes = mem::take(&mut known.nodes);
    nodes.append(&mut news.nodes);
    *known = Service { nodes, ..news };
}

/// Keeps the last node of each id, at the place of the first.
fn keep_last(nodes: &mut Vec<Node>) {
    let mut places = HashMap::with_capacity(nodes.len());
    let mut kept: Vec<Node> = Vec::with_capacity(nodes.len());
    for node in mem::take(nodes) {
        match places.entry(node.id.clone()) {
            Entry::Occupied(place) => kept[*place.get()] = node,
            Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push(node);
            }
        }
    }
    *nodes = kept;
}

pub(super) fn put(mut service: Service, set: &mut Vec<Service>) {
    if service.nodes.is_empty() {
        return;
    }
    keep_last(&mut service.nodes);
    match set.iter_mut().find(|known| known.is_same_version(&service)) {
        Some(known) => {
            remove(&service.nodes, &mut known.nodes);
            service.nodes.append(&mut known.nodes);
            *known = service;
        }
        None => set.push(service),
    }
}

pub(super) fn delete(gone: &Service, set: &mut Vec<Service>) {
    if gone.nodes.is_empty() {
        return set.retain(|known| known.name != gone.name);
    }
    set.retain_mut(|known| {
        if !known.is_same_version(gone) {
            return true;
        }
        remove(&gone.nodes, &mut known.nodes);
        !known.nodes.is_empty()
    });
}

fn remove(gone: &[Node], nodes: &mut Vec<Node>) {
    let ids: HashSet<&str> = gone.iter().map(|node| node.id.as_str()).collect();
    nodes.retain(|node| !ids.contains(node.id.as_str()));
}
