use std::sync::{Arc, OnceLock};

use crate::{Candidates, Handles, Strategy};

/// From whom to choose, and how: what all pickers made from one snapshot have in common.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(super) candidates: Candidates,
    pub(super) strategy: Arc<dyn Strategy>,
    _apart: Apart,
}

/// With it a choice and its reference counts, which calls write to, fill two cache lines: those of the next one are
/// elsewhere. To ask for memory that begins with a line would take as long as a change of few nodes may.
type Apart = [u64; 11];

impl Choice {
    pub(crate) fn new(candidates: Candidates, strategy: Arc<dyn Strategy>) -> Arc<Self> {
        Arc::new(Self::among(candidates, strategy))
    }

    fn among(candidates: Candidates, strategy: Arc<dyn Strategy>) -> Self {
        Self {
            candidates,
            strategy,
            _apart: Apart::default(),
        }
    }

    fn handles(candidates: &Candidates, strategy: &Arc<dyn Strategy>) -> Handles<Self> {
        Handles::new(Self::among(candidates.clone(), Arc::clone(strategy)))
    }
}

/// The choices that calls may ask for, from one list of candidates.
#[derive(Debug)]
pub(crate) struct Choices {
    own: Handles<Choice>,
    /// By the strategy that calls name instead of the list's own. Most clients name one and the
    /// same.
    named: OnceLock<Handles<Choice>>,
}

impl Choices {
    pub(crate) fn new(candidates: &Candidates, strategy: &Arc<dyn Strategy>) -> Self {
        strategy.prepare(candidates);
        Self {
            own: Choice::handles(candidates, strategy),
            named: OnceLock::new(),
        }
    }

    /// The choice by the strategy that is `named`, or by the list's own. If that is yet another one
    /// than was named first, it must be asked by whoever named it.
    pub(crate) fn by(&self, named: Option<&Arc<dyn Strategy>>) -> &Arc<Choice> {
        let Some(named) = named else {
            return self.own.mine();
        };
        named.prepare(self.candidates());
        let handles = || Choice::handles(self.candidates(), named);
        self.named.get_or_init(handles).mine()
    }

    pub(crate) fn candidates(&self) -> &Candidates {
        &self.own.candidates
    }
}
