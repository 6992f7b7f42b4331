//! Unary echo from end to end, peers side by side: `cargo xtask bench load`.

pub mod arguments;
mod chart;
mod drive;
mod goals;
mod measure;
mod row;

use std::net::SocketAddr;

pub use self::{
    chart::chart,
    drive::{Extent, Load, Round, Unanswered, prepare},
    measure::{Unmeasured, measure},
    row::{Row, json, table},
};
use crate::{
    node::{Node, NodeOptions, Unstarted},
    peers::Variant,
    pin::Pinned,
};

/// How much is measured, and of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Who.
    pub variants: Vec<Variant>,
    /// How many servers.
    pub servers: Vec<usize>,
    /// Calls at a time.
    pub in_flight: Vec<usize>,
    /// Bytes of a message.
    pub payload: Vec<usize>,
    /// Rounds over all variants.
    pub rounds: u64,
    /// How long each of them calls in a round.
    pub millis: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            variants: Variant::ALL.to_vec(),
            servers: vec![1, 3],
            in_flight: vec![16, 64, 256],
            payload: vec![64],
            rounds: 11,
            millis: 300,
        }
    }
}

impl Plan {
    /// To see whether everything works; the figures are worth little.
    pub fn quick() -> Self {
        Self {
            servers: vec![3],
            in_flight: vec![16, 64],
            rounds: 3,
            millis: 100,
            ..Self::default()
        }
    }
}

/// Calls at a time where instructions are counted.
pub const COUNTED_IN_FLIGHT: usize = 16;

/// Bytes of a message where instructions are counted.
pub const COUNTED_PAYLOAD: usize = 64;

/// What callgrind counts of: a variant, and how many servers it has.
pub fn case(variant: Variant, servers: usize) -> String {
    format!("{variant}/{servers}")
}

/// So many servers that answer at once, each a process.
///
/// # Errors
/// If one does not come up.
pub fn servers(count: usize, pinned: Pinned) -> Result<Vec<Node>, Unstarted> {
    let options = NodeOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        service_time: std::time::Duration::ZERO,
        ledger: None,
        core: pinned.servers(),
        isolated: false,
    };
    (0..count).map(|_| Node::start(options.clone())).collect()
}
