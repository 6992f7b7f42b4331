//! A node that may be chosen, and what this client knows of it.
//!
//! What the registry says of a node is a [`Node`]; what a client learns by using it (for now: how
//! many attempts are under way) stands beside it. Both travel together as an `Arc<Candidate>`.
//!
//! The knowledge outlives a re-discovery: when the registry announces the same node anew, the
//! counters go on.
//!
//! # Example
//!
//! ```
//! use tower_micro_registry::Node;
//! use tower_micro_selector::Candidate;
//!
//! let candidate = Candidate::new(Node::new("greeter-1", "10.0.0.1:8080"));
//! let attempt = candidate.begin();
//! assert_eq!((candidate.address.as_str(), candidate.in_flight()), ("10.0.0.1:8080", 1));
//! drop(attempt);
//! assert_eq!(candidate.in_flight(), 0);
//! ```
//!
//! # Not here
//!
//! Whether a node is healthy: that is for selectors to learn from
//! [`Selector::mark`](crate::Selector::mark).

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Weak};

use tower_micro_registry::{Metadata, Node};

/// The node metadata key that [`Candidate::weight`] is read from.
pub const WEIGHT: &str = "weight";

/// The weight of a node that does not say one.
pub const DEFAULT_WEIGHT: u32 = 1;

/// A node that may be chosen. See the [module docs](self) for an example.
pub struct Candidate {
    node: Node,
    version: Arc<str>,
    weight: u32,
    state: Arc<State>,
}

/// What this client learned of a node; shared by all candidates that stand for the same node.
///
/// Its weak references are the attempts under way, and nothing else: a guard must own something
/// that counts, so it owns the count itself.
#[derive(Debug, Default)]
struct State;

impl Candidate {
    /// A candidate for `node`, of no particular service version.
    #[must_use]
    pub fn new(node: Node) -> Arc<Self> {
        Self::with_version(node, "")
    }

    /// A candidate for `node`, which serves `version` of its service.
    #[must_use]
    pub fn with_version(node: Node, version: impl Into<Arc<str>>) -> Arc<Self> {
        Self::known(node, version.into(), Arc::default())
    }

    /// A candidate for a bare `address` (`host:port`), with an empty id and no metadata: the node
    /// that go-micro v2's `client.WithAddress` makes. The address is taken as it is; it fails where
    /// it is dialled.
    #[must_use]
    pub fn at(address: &str) -> Arc<Self> {
        Self::new(Node::new("", address))
    }

    /// The same node as the registry announces it now. What was learned stays, unless it moved to
    /// another address.
    pub(crate) fn announced_as(self: &Arc<Self>, node: Node) -> Arc<Self> {
        if self.node == node {
            return Arc::clone(self);
        }
        let moved = self.node.address != node.address;
        let state = if moved {
            Arc::default()
        } else {
            Arc::clone(&self.state)
        };
        Self::known(node, Arc::clone(&self.version), state)
    }

    fn known(node: Node, version: Arc<str>, state: Arc<State>) -> Arc<Self> {
        let weight = weight(&node.metadata);
        Arc::new(Self {
            node,
            version,
            weight,
            state,
        })
    }

    /// The version of the service that this node serves; empty if unknown.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The share of the calls this node should get, relative to the others: metadata key
    /// [`WEIGHT`], a decimal `u32`. [`DEFAULT_WEIGHT`] when it is missing or not a number. Read by
    /// [`Weighted`](crate::Weighted) alone, which chooses a node of weight 0 only when all are 0.
    #[must_use]
    pub fn weight(&self) -> u32 {
        self.weight
    }

    /// How many attempts of this client are under way at the node: the [`InFlight`] guards alive.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        u32::try_from(Arc::weak_count(&self.state)).unwrap_or(u32::MAX)
    }

    /// Counts an attempt as under way until the guard is dropped.
    pub fn begin(self: &Arc<Self>) -> InFlight {
        InFlight {
            _one: Arc::downgrade(&self.state),
        }
    }
}

impl Deref for Candidate {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate")
            .field("node", &self.node)
            .field("version", &self.version)
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

fn weight(metadata: &Metadata) -> u32 {
    metadata
        .get(WEIGHT)
        .and_then(|text| text.parse().ok())
        .unwrap_or(DEFAULT_WEIGHT)
}

/// An attempt under way at a node; made by [`Candidate::begin`]. Keep it as long as the attempt
/// lasts, to the end of the response body.
#[derive(Debug)]
#[must_use = "the attempt counts as over when the guard is dropped"]
pub struct InFlight {
    _one: Weak<State>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(weight: &str) -> Node {
        let mut node = Node::new("a", "10.0.0.1:1");
        node.metadata.insert(WEIGHT.into(), weight.into());
        node
    }

    #[test]
    fn a_bare_address_has_no_id_and_no_metadata() {
        let candidate = Candidate::at("10.0.0.1:1");
        assert_eq!(**candidate, Node::new("", "10.0.0.1:1"));
        assert_eq!((candidate.version(), candidate.weight()), ("", 1));
    }

    #[test]
    fn a_weight_that_is_no_number_is_one() {
        for text in ["", "heavy", "-1", "1.5", "4294967296"] {
            assert_eq!(Candidate::new(node(text)).weight(), 1, "{text:?}");
        }
        assert_eq!(Candidate::new(node("0")).weight(), 0);
        assert_eq!(Candidate::new(node("4294967295")).weight(), u32::MAX);
    }

    #[test]
    fn in_flight_is_in_balance_after_many_threads() {
        let candidate = Candidate::at("10.0.0.1:1");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        let _two = (candidate.begin(), candidate.begin());
                        assert!((2..=8).contains(&candidate.in_flight()));
                    }
                });
            }
        });
        assert_eq!(candidate.in_flight(), 0);
    }

    #[test]
    fn a_node_announced_anew_keeps_its_count() {
        let old = Candidate::with_version(node("1"), "v1");
        let attempt = old.begin();
        let new = old.announced_as(node("7"));
        assert_eq!((new.version(), new.weight(), new.in_flight()), ("v1", 7, 1));
        drop(attempt);
        assert_eq!(new.in_flight(), 0);
    }

    #[test]
    fn a_node_that_moved_starts_from_nothing() {
        let old = Candidate::new(node("1"));
        let _attempt = old.begin();
        let new = old.announced_as(Node::new("a", "10.0.0.2:1"));
        assert_eq!((old.in_flight(), new.in_flight()), (1, 0));
    }
}
