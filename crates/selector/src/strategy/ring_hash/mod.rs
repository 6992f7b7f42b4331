mod circle;
mod key;
mod ring;
#[cfg(test)]
mod tests;

pub use key::HashKey;
pub(crate) use ring::Ring;

use self::circle::{Place, Shares};
use super::{Strategy, Turn};
use crate::Candidates;

/// Calls of one [key](Turn::hash_key) go to one node, whichever client makes them, as long as it is there: what the
/// node keeps for them, such as a cache or a session, is there again. Without a key a call goes anywhere.
///
/// Every node has 128 places on a circle, by its address alone, and a call goes to the first node clockwise from
/// the place of its key (D. Karger et al., "Consistent Hashing and Random Trees"; Envoy `ring_hash`, gRFC A42). So when
/// one of `n` nodes comes or goes, one key in `n` moves, and no other. A node of another
/// [weight](crate::Candidate::weight) than 1 has that many times the places, and none for a weight of 0, unless all weigh
/// 0; when its weight changes, keys move to it or from it, and no others.
///
/// Nodes that weigh more than 256 together share some 32 768 places, at least one each. Then each gives some of its own to one
/// that comes, and about as many keys move between the others as to it.
///
/// The next attempt of a call goes to the next node clockwise, and so do calls whose node is
/// [out](crate::Candidate::is_out): when it is back they are, too. Where the attempt that failed is what put its node
/// out, the next one goes to the node after that.
///
/// The places are sorted when the nodes change, some 32 768 of them at most in 12 bytes each: a choice takes as long
/// among ten thousand nodes as among ten. A list that is made for a single call is looked through instead.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
/// use tower_micro_selector::{Candidate, Candidates, HashKey, Picker, RingHash, SelectOptions};
///
/// let nodes: Vec<_> = ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"].map(Candidate::at).into();
/// let of_alice = SelectOptions {
///     hash_key: Some(HashKey::from("alice").into()),
///     ..SelectOptions::default()
/// };
/// let choose = || Picker::among(Candidates::new(nodes.clone()), Arc::new(RingHash), &of_alice).next();
/// assert_eq!(choose()?.address, choose()?.address);
/// # Ok::<(), tower_micro_selector::SelectError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RingHash;

impl Strategy for RingHash {
    fn pick(&self, nodes: &Candidates, turn: &Turn) -> Option<usize> {
        if nodes.len() < 2 {
            return (!nodes.is_empty()).then_some(0);
        }
        let place = Place::of_key(turn.hash_key.unwrap_or(turn.start));
        let number = turn.number as usize;
        match nodes.ring() {
            Some(ring) => along(ring, nodes, place, number),
            None => nearest(nodes, place, number),
        }
    }

    fn prepare(&self, nodes: &Candidates) {
        nodes.prepare_ring();
    }

    fn name(&self) -> &'static str {
        "ring_hash"
    }
}

/// The node that follows `number` others clockwise from `place`, of those that are not out, or else of all.
fn along(ring: &Ring, nodes: &Candidates, place: Place, number: usize) -> Option<usize> {
    let mut clockwise = ring.from(place);
    let is_in = |&index: &usize| !nodes[index].is_out();
    let chosen = match number {
        0 => clockwise.find(is_in),
        _ => nth(clockwise.filter(is_in), number),
    };
    chosen.or_else(|| nth(ring.from(place), number))
}

/// The one that follows `number` different ones; where there are not so many, they begin again.
fn nth(indices: impl Iterator<Item = usize>, number: usize) -> Option<usize> {
    let mut met = Vec::new();
    for index in indices {
        if met.contains(&index) {
            continue;
        }
        if met.len() == number {
            return Some(index);
        }
        met.push(index);
    }
    let wrapped = number.checked_rem(met.len())?;
    Some(met[wrapped])
}

/// The same without a ring.
fn nearest(nodes: &Candidates, place: Place, number: usize) -> Option<usize> {
    let shares = Shares::of(nodes);
    let distance = |index: usize| Some((shares.distance(&nodes[index], place)?, index));
    let near = |is_asked: &dyn Fn(usize) -> bool| -> Vec<_> {
        let asked = (0..nodes.len()).filter(|&index| is_asked(index));
        asked.filter_map(distance).collect()
    };
    let mut near = Some(near(&|index| !nodes[index].is_out()))
        .filter(|near| !near.is_empty())
        .unwrap_or_else(|| near(&|_| true));
    let number = number.checked_rem(near.len())?;
    let (_, &mut (_, index), _) = near.select_nth_unstable(number);
    Some(index)
}
