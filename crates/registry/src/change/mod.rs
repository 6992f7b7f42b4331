//! How a set of services changes.

mod fold;

pub(crate) use fold::gather;

use crate::Service;

/// One step in the life of a set of services.
///
/// A reader keeps a `Vec<Service>` and applies each change to it; go-micro's cache does the same
/// (`registry/cache/cache.go`, `update`). What comes out has each version once, and in a version each node id
/// once: where something is told twice, the last word holds.
///
/// ```
/// use tower_micro_registry::{Change, Node, Service};
///
/// let greeter = |id: &str| Service::new("greeter", "latest").with_node(Node::new(id, "10.0.0.7:8080"));
/// let mut set = Vec::new();
/// Change::Reset(vec![greeter("a")]).apply(&mut set);
/// Change::Put(greeter("b")).apply(&mut set);
/// Change::Delete(greeter("a")).apply(&mut set);
/// assert_eq!(set, [greeter("b")]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// This is the whole set; what was known before is forgotten. Empty means: the registry confirms that
    /// there is nothing.
    Reset(Vec<Service>),
    /// These nodes of this version came or changed (go-micro's `create` and `update`, which it treats alike).
    ///
    /// A version that is not known yet is appended. Of a known one, the metadata and the endpoints are
    /// replaced, and so are nodes with the same id; its other nodes stay, behind the new ones. A service
    /// without nodes is passed over, as in go-micro.
    Put(Service),
    /// These nodes of this version went, known by their ids. A version without nodes left is dropped. A service
    /// without nodes takes all versions of that name with it, as in go-micro.
    Delete(Service),
}

impl Change {
    /// Makes the change in `set`. Linear in the number of nodes; no input panics.
    pub fn apply(self, set: &mut Vec<Service>) {
        match self {
            Self::Reset(services) => *set = gather(services),
            Self::Put(service) => fold::put(service, set),
            Self::Delete(service) => fold::delete(&service, set),
        }
    }
}

#[cfg(test)]
mod tests;
