use std::hash::Hasher;

use fnv::FnvHasher;

use crate::candidate::DEFAULT_WEIGHT;
use crate::{Candidate, Candidates};

/// How many places a node has for each 1 that it weighs, while all weigh no more than 256 together.
const EACH: u64 = 128;

/// How many places there are, or a few more: where nodes weigh more, these are shared by weight.
const MOST: u64 = 1 << 15;

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
    /// What all nodes weigh together.
    total: u64,
    /// What a node weighs that says 0.
    nothing: u32,
}

impl Shares {
    pub(super) fn of(nodes: &Candidates) -> Self {
        let (total, nothing) = match nodes.cumulative_weights() {
            Some(sums) => (sums.last().copied().unwrap_or_default(), 0),
            None => all_alike(nodes),
        };
        Self { total, nothing }
    }

    /// The places of a node: by its address alone, so that all clients agree whatever its id.
    pub(super) fn places(&self, node: &Candidate) -> impl Iterator<Item = Place> + use<> {
        let seed = hash(node.address.as_bytes());
        let count = self.count(node.weight().max(self.nothing), seed);
        (1..=count).map(move |number| Place::nth(seed, number))
    }

    /// At least one, unless the node weighs nothing. What is left over is a place for some and none for others, by their addresses: so the
    /// nodes lose places one after the other when there are more of them, and not all at once.
    fn count(&self, weight: u32, seed: u64) -> u64 {
        let weight = u64::from(weight);
        if weight == 0 || self.total <= MOST / EACH {
            return weight * EACH;
        }
        let (places, left_over) = (weight * MOST / self.total, weight * MOST % self.total);
        let Place(die) = Place::nth(seed, 0);
        let has_more = u128::from(die) * u128::from(self.total) < u128::from(left_over) << BITS;
        (places + u64::from(has_more)).max(1)
    }

    /// How far it is from `place` to the node, clockwise; `None` if it has no place.
    pub(super) fn distance(&self, node: &Candidate, place: Place) -> Option<u64> {
        self.places(node).map(|other| place.to(other)).min()
    }
}

/// What nodes that weigh the same weigh together, and each that says 0: as much as one that says nothing.
fn all_alike(nodes: &Candidates) -> (u64, u32) {
    let count = nodes.len() as u64;
    match nodes.first().map_or(0, |node| node.weight()) {
        0 => (count * u64::from(DEFAULT_WEIGHT), DEFAULT_WEIGHT),
        weight => (count * u64::from(weight), 0),
    }
}

/// FNV-1a: the same everywhere and for ever.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(bytes);
    hasher.finish()
}
