//! How calls fare when nodes fail, peers side by side: `cargo xtask bench faults`.
//!
//! Three servers, each a process; 64 callers, each of which calls again when it was answered. Each run is a process in a network of
//! its own, so that the system counts its dials and nobody else's.

pub mod arguments;
mod callers;
mod chart;
mod figures;
mod goals;
mod network;
mod row;
mod run;
mod scenario;
mod script;

use std::time::Duration;

pub use self::{
    chart::chart,
    network::Isolation,
    row::{Figures, Outcome, Row, broken, json, table},
    run::{Unrun, run},
    scenario::{Pace, Scenario},
};
use crate::peers::Variant;

/// Calls at a time.
pub const CALLERS: usize = 64;

/// How long a node that is well works on a call: 64 callers then make some 2 100 calls a second, and all of them are under way
/// when something happens.
pub const SERVICE_TIME: Duration = Duration::from_millis(30);

/// Calls a second, at most, so that those who fail fast do not spin: each caller takes the next free slot of 500 µs.
pub const MOST_CALLS_PER_S: u32 = 2_000;

/// For the whole of a call.
pub const DEADLINE: Duration = Duration::from_secs(2);

/// After its deadline a call that is still not over is given up on, and counts as failed.
pub const GRACE: Duration = Duration::from_secs(1);

/// Servers.
pub const NODES: usize = 3;

/// Who takes part, in the order of the tables: more channels by hand change nothing here.
pub fn variants() -> Vec<Variant> {
    let manifold = [Variant::BareK2, Variant::BareK4];
    let mut variants = Variant::ALL.to_vec();
    variants.retain(|variant| !manifold.contains(variant));
    variants
}

/// One run: who, when what happens, and whether its calls may be executed twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// What happens.
    pub scenario: Scenario,
    /// Who calls.
    pub variant: Variant,
    /// Whether calls may be executed twice.
    pub idempotent: bool,
}

impl std::fmt::Display for Trial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.idempotent {
            "idempotent"
        } else {
            "not idempotent"
        };
        write!(f, "{}/{}, {kind}", self.scenario, self.variant)
    }
}
