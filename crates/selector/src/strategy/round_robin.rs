use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::{Strategy, Turn};
use crate::Candidates;

/// In order, from a random start in each call (go-micro v2 `selector/strategy.go`, `RoundRobin`).
///
/// The order is that of one call's attempts. Across calls the load is spread as by
/// [`Random`](super::Random); [`RoundRobinShared`] is what most expect of the name.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundRobin;

impl Strategy for RoundRobin {
    fn pick(&self, nodes: &Candidates, turn: &Turn) -> Option<usize> {
        let count = nodes.len() as u64;
        let start = turn.start.checked_rem(count)?;
        Some(((start + u64::from(turn.number)) % count) as usize)
    }

    fn name(&self) -> &'static str {
        "round_robin"
    }
}

/// In order across all calls (go-micro plugins `wrapper/select/roundrobin`): while the nodes stay
/// the same, no node is more than one attempt ahead of another.
///
/// The place in the order is kept with the service, so that one instance serves many services.
/// Where a list is made for a single call (an address list, a filter of your own) and nothing is
/// kept, the instance's own place is used.
#[derive(Debug)]
pub struct RoundRobinShared {
    cursor: AtomicUsize,
}

impl RoundRobinShared {
    /// Starts anywhere, so that many clients do not all start at the first node.
    #[must_use]
    pub fn new() -> Self {
        Self { cursor: anywhere() }
    }
}

impl Default for RoundRobinShared {
    fn default() -> Self {
        Self::new()
    }
}

impl Strategy for RoundRobinShared {
    fn pick(&self, nodes: &Candidates, _turn: &Turn) -> Option<usize> {
        let cursor = nodes.cursor().unwrap_or(&self.cursor);
        cursor.fetch_add(1, Relaxed).checked_rem(nodes.len())
    }

    fn name(&self) -> &'static str {
        "round_robin_shared"
    }
}

/// A cursor at a random place, far from where it would wrap.
pub(crate) fn anywhere() -> AtomicUsize {
    AtomicUsize::new(usize::from(fastrand::u16(..)))
}
