use super::{Strategy, Turn};
use crate::Candidates;

/// The less busy of two random nodes: the one with fewer attempts of this client [in
/// flight](crate::Candidate::in_flight). One that is [out](crate::Candidate::is_out) is the busier one; where failures
/// are counted, each in a row counts as an attempt in flight, at most as many as there are.
///
/// Looking at two is nearly as good as looking at all, and clients that look at two do not all run
/// to the same node (M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing";
/// tower `balance::p2c`).
///
/// Of three it looks at all, as long as those who fail [go](crate::Health::Outlier) and none has gone. When one of them
/// stands still, two random ones are it and another one two times in three. The others are then chosen at random, are
/// busier than it now and then, and it goes on getting calls. But who fails at once is least busy of all: to one that has
/// just failed a call goes only if it is one of two.
#[derive(Clone, Copy, Debug, Default)]
pub struct P2c;

impl Strategy for P2c {
    fn pick(&self, nodes: &Candidates, _turn: &Turn) -> Option<usize> {
        match nodes.len() {
            0 => None,
            1 => Some(0),
            3 => Some(least_busy(nodes)),
            count => {
                let (first, second) = two_of(count);
                Some(less_busy(nodes, first, second))
            }
        }
    }

    fn goes_by_load(&self) -> bool {
        true
    }

    fn name(&self) -> &'static str {
        "p2c"
    }
}

/// Two different numbers below `count`, in either order: so the first one wins a tie without a coin
/// of its own. One random word makes both; the error of that is `count` in 2^32.
pub(super) fn two_of(count: usize) -> (usize, usize) {
    let random = fastrand::u64(..);
    let below = |word: u64, count: usize| ((word * count as u64) >> 32) as usize;
    let first = below(random >> 32, count);
    let second = below(random & u64::from(u32::MAX), count - 1);
    (first, if second < first { second } else { second + 1 })
}

/// Of three. The third one counts while all are well, and if it has not just failed.
fn least_busy(nodes: &Candidates) -> usize {
    let (first, second) = two_of(3);
    let (less, third) = (less_busy(nodes, first, second), 3 - first - second);
    if nodes.are_all_well() && !nodes[third].has_failed() {
        less_busy(nodes, less, third)
    } else {
        less
    }
}

#[inline]
fn less_busy(nodes: &Candidates, first: usize, second: usize) -> usize {
    if nodes[second].load() < nodes[first].load() {
        second
    } else {
        first
    }
}
