use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::{Candidate, Candidates};

/// In [`Tried::first`]: nobody was handed out.
const NOBODY: u64 = 0;
/// In [`Tried::first`]: look at [`Tried::more`].
const MOVED: u64 = u64::MAX;

/// The nodes that one picker and its clones handed out, as indices of its list.
///
/// Most calls have one attempt: the first node is remembered without a lock and without an
/// allocation. Whatever comes after it, a clone too, is remembered in a place of its own.
#[derive(Default)]
pub(super) struct Tried {
    /// [`NOBODY`], [`MOVED`], or one more than the index of who was handed out first.
    first: AtomicU64,
    more: OnceLock<Arc<Mutex<More>>>,
}

/// Everybody who was handed out, the first one included.
#[derive(Default)]
struct More {
    indices: Vec<usize>,
    turns: u32,
}

impl Tried {
    /// Whom `ask` names, given the nodes in question and the number of the turn: one that is new,
    /// while there is one. Whom it named in vain is handed to `leave`.
    #[inline]
    pub(super) fn pick(
        &self,
        all: &Candidates,
        ask: impl Fn(&Candidates, u32) -> Option<usize>,
        leave: impl Fn(&Arc<Candidate>),
    ) -> Option<usize> {
        if self.first.load(Relaxed) == NOBODY {
            let index = ask(all, 0)?;
            if self.is_first(index) {
                return Some(index);
            }
        }
        self.more().pick(all, ask, leave)
    }

    /// Whether there is a node that was not handed out, and is not out.
    pub(super) fn leaves_any(&self, all: &Candidates) -> bool {
        let more = self.more();
        if all.admission().is_none() {
            return more.indices.len() < all.len();
        }
        (0..all.len()).any(|index| !all[index].is_out() && !more.has(index, all))
    }

    #[inline]
    fn is_first(&self, index: usize) -> bool {
        self.first
            .compare_exchange(NOBODY, index as u64 + 1, Relaxed, Relaxed)
            .is_ok()
    }

    /// From now on whoever is handed out is remembered there.
    fn more(&self) -> MutexGuard<'_, More> {
        let more = self.more.get_or_init(Arc::default);
        let mut more = more.lock().unwrap_or_else(PoisonError::into_inner);
        match self.first.swap(MOVED, Relaxed) {
            NOBODY | MOVED => {}
            first => {
                more.indices.push(first as usize - 1);
                more.turns += 1;
            }
        }
        more
    }
}

/// Remembers what the other does, from before the clone and after it.
impl Clone for Tried {
    fn clone(&self) -> Self {
        drop(self.more());
        Self {
            first: AtomicU64::new(MOVED),
            more: self.more.clone(),
        }
    }
}

impl More {
    /// Asks over all, and only if that names one who was tried, over the rest. To ask over the rest
    /// from the start would copy the list for every retry, and a strategy that goes in order would
    /// lose its place.
    fn pick(
        &mut self,
        all: &Candidates,
        ask: impl Fn(&Candidates, u32) -> Option<usize>,
        leave: impl Fn(&Arc<Candidate>),
    ) -> Option<usize> {
        let turn = self.turns;
        self.turns = turn.saturating_add(1);
        let index = ask(all, turn)?;
        if !self.has(index, all) {
            self.indices.push(index);
            return Some(index);
        }
        let rest: Vec<_> = (0..all.len())
            .filter(|&index| !self.has(index, all))
            .collect();
        match ask(&all.only(&rest), turn) {
            Some(place) => {
                leave(&all[index]);
                self.indices.push(rest[place]);
                Some(rest[place])
            }
            None => Some(index),
        }
    }

    /// The same node may stand in a list more than once.
    fn has(&self, index: usize, all: &Candidates) -> bool {
        let mut tried = self.indices.iter();
        tried.any(|&tried| Arc::ptr_eq(&all[tried], &all[index]))
    }
}
