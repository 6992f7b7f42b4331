use super::p2c::two_of;
use super::{Strategy, Turn};
use crate::latency::Latency;
use crate::{Candidate, Candidates};

/// The one of two random nodes that would answer sooner: by its latency, times the attempts that are
/// [in flight](crate::Candidate::in_flight) there and one more.
///
/// The latency follows a peak at once and forgets it within some ten seconds (Finagle, `PeakEwma.scala`); a
/// failure counts as a slow answer. See [`candidate`](crate::candidate#latency). A node that was never measured, or
/// that was [out](crate::Candidate::is_out) and waits for its one attempt, is compared by its attempts in flight alone, so
/// that it is tried, and not run over.
///
/// [`P2c`](super::P2c) needs no clock, and keeps away from slow nodes too, once calls pile up there. This is for
/// nodes that differ in speed though they are not busy: another zone, another machine.
///
/// # Example
///
/// ```
/// use std::time::{Duration, Instant};
/// use tower_micro_selector::{Candidate, Candidates, PeakEwma, Strategy, Turn};
///
/// let nodes = [Candidate::at("10.0.0.1:1"), Candidate::at("10.0.0.2:1")];
/// let began = Instant::now();
/// nodes[0].answered(began, began + Duration::from_millis(20));
/// nodes[1].answered(began, began + Duration::from_millis(2));
/// let nodes = Candidates::new(nodes.to_vec());
/// assert_eq!(PeakEwma.pick(&nodes, &Turn::default()), Some(1));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct PeakEwma;

impl Strategy for PeakEwma {
    fn pick(&self, nodes: &Candidates, _turn: &Turn) -> Option<usize> {
        match nodes.len() {
            0 => None,
            1 => Some(0),
            count => {
                let (first, second) = two_of(count);
                let sooner = is_sooner(&nodes[second], &nodes[first]);
                Some(if sooner { second } else { first })
            }
        }
    }

    fn goes_by_load(&self) -> bool {
        true
    }

    fn name(&self) -> &'static str {
        "peak_ewma"
    }
}

fn is_sooner(one: &Candidate, other: &Candidate) -> bool {
    one.measure();
    other.measure();
    match (one.is_out(), other.is_out()) {
        (false, true) => return true,
        (true, false) => return false,
        _ => {}
    }
    let (latency, others) = (one.smoothed(), other.smoothed());
    let is_known = |node: &Candidate, latency: Latency| latency.is_known() && !node.is_on_trial();
    let (mine, theirs) = if is_known(one, latency) && is_known(other, others) {
        latency.now(others)
    } else {
        (1.0, 1.0)
    };
    cost(mine, one) < cost(theirs, other)
}

fn cost(latency: f32, node: &Candidate) -> f32 {
    latency * (node.in_flight() as f32 + 1.0)
}
