use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::Next;
use super::choice::Choice;
use super::tried::Tried;
use crate::{Candidate, Candidates, SelectError, SelectOptions, Strategy, Turn};

/// One of the nodes of a frozen list, by a strategy.
pub(super) struct OneOf {
    choice: Arc<Choice>,
    /// What the call named, if that is not the strategy that comes with the list.
    strategy: Option<Arc<dyn Strategy>>,
    start: u64,
    hash_key: Option<u64>,
    memory: Memory,
}

/// What a picker knows of its earlier answers.
enum Memory {
    HowMany(AtomicU32),
    Which(Tried),
}

impl OneOf {
    pub(super) fn new(choice: Arc<Choice>, options: &SelectOptions) -> Self {
        let own = |named: &&Arc<dyn Strategy>| !Arc::ptr_eq(named, &choice.strategy);
        let strategy = options.strategy.as_ref().filter(own).cloned();
        let memory = if options.avoid_tried {
            Memory::Which(Tried::default())
        } else {
            Memory::HowMany(AtomicU32::new(0))
        };
        Self {
            choice,
            strategy,
            start: fastrand::u64(..),
            hash_key: options.hash_key,
            memory,
        }
    }

    fn pick(&self) -> Option<usize> {
        let all = &self.choice.candidates;
        match &self.memory {
            Memory::HowMany(turns) => self.ask(all, turns.fetch_add(1, Relaxed)),
            Memory::Which(tried) => tried.pick(all, |nodes, number| self.ask(nodes, number)),
        }
    }

    /// A strategy may be somebody else's: an index that is out of range is no answer.
    fn ask(&self, nodes: &Candidates, number: u32) -> Option<usize> {
        let turn = Turn {
            number,
            start: self.start,
            hash_key: self.hash_key,
        };
        let strategy = self.strategy.as_ref().unwrap_or(&self.choice.strategy);
        strategy
            .pick(nodes, &turn)
            .filter(|&index| index < nodes.len())
    }
}

impl Next for OneOf {
    fn next(&self) -> Result<Arc<Candidate>, SelectError> {
        let index = self.pick().ok_or(SelectError::NoneAvailable)?;
        Ok(Arc::clone(&self.choice.candidates[index]))
    }

    fn has_untried(&self) -> bool {
        match &self.memory {
            Memory::HowMany(_) => false,
            Memory::Which(tried) => tried.count() < self.choice.candidates.len(),
        }
    }
}
