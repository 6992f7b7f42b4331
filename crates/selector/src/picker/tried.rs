use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Candidates;

/// The nodes that one picker handed out, as indices of its list.
///
/// Most calls have one attempt: the first node is remembered without a lock and without an
/// allocation.
#[derive(Default)]
pub(super) struct Tried {
    /// 0: nobody was handed out. Else one more than the index of who was.
    first: AtomicU64,
    others: Mutex<Others>,
}

/// Who was handed out after the first.
#[derive(Default)]
struct Others {
    indices: Vec<usize>,
    turns: u32,
}

impl Tried {
    /// Whom `ask` names, given the nodes in question and the number of the turn: one that is new,
    /// while there is one.
    pub(super) fn pick(
        &self,
        all: &Candidates,
        ask: impl Fn(&Candidates, u32) -> Option<usize>,
    ) -> Option<usize> {
        if self.first.load(Relaxed) == 0 {
            let index = ask(all, 0)?;
            if self.is_first(index) {
                return Some(index);
            }
        }
        self.pick_another(all, ask)
    }

    /// Asks over all, and only if that names one who was tried, over the rest. To ask over the rest
    /// from the start would copy the list for every retry, and a strategy that goes in order would
    /// lose its place.
    fn pick_another(
        &self,
        all: &Candidates,
        ask: impl Fn(&Candidates, u32) -> Option<usize>,
    ) -> Option<usize> {
        let mut others = self.others();
        others.turns = others.turns.saturating_add(1);
        let index = ask(all, others.turns)?;
        if !self.has(index, &others, all) {
            others.indices.push(index);
            return Some(index);
        }
        let rest: Vec<_> = (0..all.len())
            .filter(|&index| !self.has(index, &others, all))
            .collect();
        match ask(&all.only(&rest), others.turns) {
            Some(place) => {
                others.indices.push(rest[place]);
                Some(rest[place])
            }
            None => Some(index),
        }
    }

    /// Whether there is a node that was not handed out, and is not out.
    pub(super) fn leaves_any(&self, all: &Candidates) -> bool {
        let others = self.others();
        let watched = all.admission().is_some();
        let handed_out = usize::from(self.first.load(Relaxed) != 0) + others.indices.len();
        if !watched {
            return handed_out < all.len();
        }
        (0..all.len()).any(|index| !all[index].is_out() && !self.has(index, &others, all))
    }

    fn is_first(&self, index: usize) -> bool {
        self.first
            .compare_exchange(0, index as u64 + 1, Relaxed, Relaxed)
            .is_ok()
    }

    fn has(&self, index: usize, others: &Others, all: &Candidates) -> bool {
        let first = (self.first.load(Relaxed) as usize).checked_sub(1);
        let mut tried = first.iter().chain(&others.indices);
        tried.any(|&tried| Arc::ptr_eq(&all[tried], &all[index]))
    }

    fn others(&self) -> MutexGuard<'_, Others> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
