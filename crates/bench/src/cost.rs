//! What calls cost.
//!
//! Allocations are counted by thread, without a lock or an atomic: threads that share a client share nothing because of us. They are
//! counted where the program has [`AllocCounterSystem`] for its allocator; elsewhere there are none, and nothing is slower.

use std::time::Duration;

pub use alloc_counter::AllocCounterSystem;
use alloc_counter::count_alloc;
use tokio::time::Instant;

/// A case that is set up.
pub trait Run {
    /// Makes exactly so many calls.
    fn run(&mut self, calls: u64) -> Cost;
}

/// What some calls cost, all together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// By the clock on the wall; of several threads the sum.
    pub time: Duration,
    /// How often memory was asked for, where that is counted.
    pub allocations: u64,
}

impl Cost {
    /// What `work` costs on this thread.
    pub fn of(work: impl FnOnce()) -> Self {
        let ((new, grown, _), time) = count_alloc(|| {
            let began = Instant::now();
            work();
            began.elapsed()
        });
        let allocations = (new + grown) as u64;
        Self { time, allocations }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            time: self.time + other.time,
            allocations: self.allocations + other.allocations,
        }
    }
}
