use super::{Strategy, Turn};
use crate::Candidates;

/// Any node, each time anew: a retry may meet the same one. go-micro's default (v2
/// `selector/strategy.go`, `Random`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Random;

impl Strategy for Random {
    fn pick(&self, nodes: &Candidates, _turn: &Turn) -> Option<usize> {
        (!nodes.is_empty()).then(|| fastrand::usize(..nodes.len()))
    }

    fn name(&self) -> &'static str {
        "random"
    }
}
