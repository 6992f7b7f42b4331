use std::hash::Hasher;

use fnv::FnvHasher;

use crate::{Candidate, Candidates};

/// How many places a node has, if it weighs what the others do and they are few enough.
const EACH: usize = 128;

/// How many places there are: more nodes have fewer each, but at least one.
const MOST: usize = 1 << 15;

/// How many bits of a hash tell a place: what is left of 64 tells the node that is there.
pub(super) const BITS: u32 = 44;

/// Where on the circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(pub(super) u64);

impl Place {
    /// That of a call. Keys that follow one another are far from one another.
    pub(super) const fn of_key(key: u64) -> Self {
        Self::nth(key, 1)
    }

    /// The `number`th of a sequence that looks random (G. Steele et al., "Fast Splittable Pseudorandom Number
    /// Generators", SplitMix64), so that any two nodes have different ones.
    const fn nth(seed: u64, number: u64) -> Self {
        let mut word = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((word ^ (word >> 31)) >> (64 - BITS))
    }

    /// How far it is from here to `other`, clockwise.
    const fn to(self, other: Self) -> u64 {
        other.0.wrapping_sub(self.0) & ((1 << BITS) - 1)
    }
}

/// How the circle is shared.
#[derive(Debug)]
pub(super) struct Shares {
    each: usize,
    /// What those weigh that weigh anything, if they do not weigh the same.
    mean_weight: Option<f64>,
}

impl Shares {
    pub(super) fn of(nodes: &Candidates) -> Self {
        let weighing = nodes.iter().filter(|node| node.weight() > 0).count();
        let total = nodes.cumulative_weights().and_then(|sums| sums.last());
        Self {
            each: (MOST / nodes.len().max(1)).clamp(1, EACH),
            mean_weight: total.map(|&total| total as f64 / weighing.max(1) as f64),
        }
    }

    /// The places of a node: by its address alone, so that all clients agree whatever its id.
    pub(super) fn places(&self, node: &Candidate) -> impl Iterator<Item = Place> + use<> {
        let seed = hash(node.address.as_bytes());
        (1..=self.count(node)).map(move |number| Place::nth(seed, number))
    }

    fn count(&self, node: &Candidate) -> u64 {
        match (self.mean_weight, node.weight()) {
            (None, _) => self.each as u64,
            (Some(_), 0) => 0,
            (Some(mean), weight) => {
                let share = f64::from(weight) / mean;
                (share * self.each as f64).round().max(1.0) as u64
            }
        }
    }

    /// How far it is from `place` to the node, clockwise; `None` if it has no place.
    pub(super) fn distance(&self, node: &Candidate, place: Place) -> Option<u64> {
        self.places(node).map(|other| place.to(other)).min()
    }
}

/// FNV-1a: the same everywhere and for ever.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(bytes);
    hasher.finish()
}
