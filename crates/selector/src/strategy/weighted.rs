use super::{Random, Strategy, Turn};
use crate::Candidates;

/// Any node, each as often as its [weight](crate::Candidate::weight) says. A node of weight 0 is
/// never chosen, unless all weigh 0: then it is as if all weighed the same.
///
/// The sums are made when the nodes change, so that a choice among `n` nodes costs `log2 n`
/// comparisons.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weighted;

impl Strategy for Weighted {
    fn pick(&self, nodes: &Candidates, turn: &Turn) -> Option<usize> {
        match nodes.cumulative_weights() {
            Some(sums) => by_weight(sums),
            None => Random.pick(nodes, turn),
        }
    }

    fn name(&self) -> &'static str {
        "weighted"
    }
}

fn by_weight(sums: &[u64]) -> Option<usize> {
    let total = *sums.last()?;
    let point = (total > 0).then(|| fastrand::u64(..total))?;
    Some(sums.partition_point(|&sum| sum <= point))
}
