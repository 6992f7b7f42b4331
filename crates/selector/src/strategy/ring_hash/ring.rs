use std::fmt;

use super::circle::{BITS, Place, Shares};
use crate::Candidates;

/// What tells a node, of the word that tells a place and who is there.
const NODE: u64 = (1 << (64 - BITS)) - 1;

/// The places of all nodes, in order.
pub(crate) struct Ring {
    /// Each a [`Place`] and, in its lowest bits, the index of a node.
    points: Vec<u64>,
    /// Where in `points` each part of the circle begins. There are about as many parts as points, so that a part has one or two.
    begins: Vec<u32>,
}

impl Ring {
    /// `None` for more nodes than a word can tell.
    pub(crate) fn new(nodes: &Candidates) -> Option<Self> {
        if nodes.len() as u64 > NODE {
            return None;
        }
        let shares = Shares::of(nodes);
        let of_node = |(index, node)| {
            let places = shares.places(node);
            places.map(move |place| word(place) | index as u64)
        };
        let nodes = nodes.iter().map(|node| &**node).enumerate();
        Some(Self::sorted(&nodes.flat_map(of_node).collect::<Vec<_>>()))
    }

    /// Sorts by parts first: places are spread so evenly that little is left to do within one.
    fn sorted(unsorted: &[u64]) -> Self {
        let parts = unsorted.len().next_power_of_two().max(2);
        let mut begins = vec![0; parts + 1];
        for &point in unsorted {
            begins[part(point, parts) + 1] += 1;
        }
        for part in 0..parts {
            begins[part + 1] += begins[part];
        }
        let mut ends = begins.clone();
        let mut points = vec![0; unsorted.len()];
        for &point in unsorted {
            let end = &mut ends[part(point, parts)];
            points[*end as usize] = point;
            *end += 1;
        }
        for bounds in begins.windows(2) {
            points[bounds[0] as usize..bounds[1] as usize].sort_unstable();
        }
        Self { points, begins }
    }

    /// Whose places follow clockwise, each as often as it has one.
    pub(super) fn from(&self, place: Place) -> impl Iterator<Item = usize> {
        let first = self.first(word(place));
        let clockwise = self.points[first..].iter().chain(&self.points[..first]);
        clockwise.map(|point| (point & NODE) as usize)
    }

    /// The first point that is not before `word`; one past the last if all are.
    fn first(&self, word: u64) -> usize {
        let begin = self.begins[part(word, self.begins.len() - 1)] as usize;
        let before = |point: &&u64| **point < word;
        begin + self.points[begin..].iter().take_while(before).count()
    }
}

/// A place, and room for who is there.
const fn word(place: Place) -> u64 {
    place.0 << (64 - BITS)
}

/// In which of `parts`, a power of two and not one, a point is.
const fn part(point: u64, parts: usize) -> usize {
    (point >> (64 - parts.ilog2())) as usize
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("points", &self.points.len())
            .finish_non_exhaustive()
    }
}
