//! Which of the nodes in question an attempt goes to.
//!
//! | strategy | chooses | from |
//! |---|---|---|
//! | [`Random`] | any, the same again too | go-micro v2 `selector/strategy.go` |
//! | [`RoundRobin`] | in order within one call, from a random start | go-micro v2 `selector/strategy.go` |
//! | [`RoundRobinShared`] | in order across calls | go-micro plugins `wrapper/select/roundrobin` |
//! | [`P2c`] | the less busy of two random ones | Mitzenmacher, "The Power of Two Choices" |
//! | [`PeakEwma`] | the one of two random ones that would answer sooner | Finagle `PeakEwma.scala` |
//! | [`Weighted`] | any, by its weight | |
//! | [`RingHash`] | one node for one key | Karger et al.; gRFC A42, Envoy `ring_hash` |
//!
//! # Example
//!
//! One of your own, which goes round by key ([`RingHash`] also keeps most keys where they are when nodes come and go):
//!
//! ```
//! use tower_micro_selector::{Candidates, Strategy, Turn};
//!
//! #[derive(Debug)]
//! struct Modulo;
//!
//! impl Strategy for Modulo {
//!     fn pick(&self, nodes: &Candidates, turn: &Turn) -> Option<usize> {
//!         let key = turn.hash_key.unwrap_or(turn.start);
//!         key.wrapping_add(turn.number.into()).checked_rem(nodes.len() as u64).map(|index| index as usize)
//!     }
//!
//!     fn name(&self) -> &'static str {
//!         "modulo"
//!     }
//! }
//! ```

mod p2c;
mod peak_ewma;
mod random;
mod ring_hash;
mod round_robin;
mod weighted;

pub use p2c::P2c;
pub use peak_ewma::PeakEwma;
pub use random::Random;
pub(crate) use ring_hash::Ring;
pub use ring_hash::{HashKey, RingHash};
pub(crate) use round_robin::anywhere;
pub use round_robin::{RoundRobin, RoundRobinShared};
pub use weighted::Weighted;

use std::fmt;

use crate::Candidates;

/// Chooses one of several nodes. See the [module docs](self) for an example.
pub trait Strategy: fmt::Debug + Send + Sync {
    /// The index in `nodes` of the node for this turn. `None`: none of them. An index out of range
    /// counts as `None`.
    ///
    /// `nodes` may be a part of what it was the turn before: a call that avoids what it tried asks
    /// over the rest.
    fn pick(&self, nodes: &Candidates, turn: &Turn) -> Option<usize>;

    /// Works out beforehand what [`pick`](Self::pick) needs to know of `nodes`. A selector that keeps a list for many
    /// calls asks for it before they choose, and may ask again; nobody asks for a list that one call has. Most strategies
    /// need nothing.
    fn prepare(&self, nodes: &Candidates) {
        let _ = nodes;
    }

    /// Whether it goes by how busy nodes are, and so may name an idle one whenever it is asked: `false` unless a strategy
    /// says so.
    ///
    /// A node that is [new](crate::RegistrySelector::with_slow_start) is idle at first. When it is named and it is not its
    /// turn yet, such a strategy is asked over the others; any other strategy that insists on a node, say that of a
    /// key, gets it.
    fn goes_by_load(&self) -> bool {
        false
    }

    /// A word for logs and for the printed stack.
    fn name(&self) -> &'static str;
}

/// What a strategy may know of the attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Which attempt of the call this is, from 0. Attempts that got no node need not count.
    pub number: u32,
    /// Random, and the same for all attempts of one call.
    pub start: u64,
    /// What [`SelectOptions::hash_key`](crate::SelectOptions::hash_key) says: calls of the same key
    /// belong together.
    pub hash_key: Option<u64>,
}

#[cfg(test)]
mod tests;
