use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::choice::Choice;
use super::tried::Tried;
use crate::health::{Admission, Admitted};
use crate::{Candidate, Candidates, Mark, SelectOptions, Strategy, Turn};

/// Among so many nodes an idle one that is new may be named whenever a strategy goes by load. Of more, others are named too.
const FEW: usize = 16;

/// How often a strategy is asked again that names a node which may not be used. Three of four nodes would have
/// to be out for one in three choices to go on after that.
const DRAWS: usize = 4;

/// One of the nodes of a frozen list, by a strategy. It is moved with every call, so what few calls ask for is in a
/// box.
#[derive(Clone)]
pub(super) struct OneOf {
    pub(super) choice: Arc<Choice>,
    asked: Option<Box<Asked>>,
    start: u64,
    hash_key: Option<u64>,
    memory: Memory,
}

/// What a call asks for that does not come with the list.
#[derive(Clone)]
struct Asked {
    strategy: Arc<dyn Strategy>,
}

/// What a picker and its clones know of their earlier answers.
#[derive(Clone)]
enum Memory {
    HowMany(Arc<AtomicU32>),
    Which(Tried),
}

impl Asked {
    #[inline]
    fn of(options: &SelectOptions, choice: &Choice) -> Option<Box<Self>> {
        let own = |named: &&Arc<dyn Strategy>| !Arc::ptr_eq(named, &choice.strategy);
        let strategy = options.strategy.as_ref().filter(own)?.clone();
        Some(Box::new(Self { strategy }))
    }
}

/// A node that was admitted is not used after all: if it is out, its one attempt comes to nothing.
fn leave_to_others(node: &Arc<Candidate>) {
    node.mark(Mark::Cancelled);
}

fn in_use(nodes: &Candidates) -> Vec<usize> {
    (0..nodes.len())
        .filter(|&index| !nodes[index].is_out())
        .collect()
}

/// Those in use that get this call, by its `die`. Where all are new, their shares count as parts of the greatest, so that
/// there is somebody and the newest gets least.
fn in_their_turn(nodes: &Candidates, admission: &Admission, die: f64) -> Vec<usize> {
    let mut in_use = in_use(nodes);
    let share = |&index: &usize| admission.share(&nodes[index]);
    let greatest = in_use.iter().map(share).fold(0.0, f64::max);
    in_use.retain(|index| share(index) > die * greatest);
    in_use
}

impl OneOf {
    #[inline]
    pub(super) fn new(choice: Arc<Choice>, options: &SelectOptions) -> Self {
        let memory = if options.avoid_tried {
            Memory::Which(Tried::default())
        } else {
            Memory::HowMany(Arc::default())
        };
        Self {
            asked: Asked::of(options, &choice),
            choice,
            start: fastrand::u64(..),
            hash_key: options.hash_key,
            memory,
        }
    }

    /// Those who are in use come first. Where everybody is out, anybody is better than nobody.
    #[inline]
    pub(super) fn pick(&self) -> Option<usize> {
        match self.choice.candidates.admission() {
            None => self.pick_by(Self::ask, |_| {}),
            Some(_) => self
                .pick_by(Self::ask_for_admitted, leave_to_others)
                .or_else(|| self.pick_by(Self::ask, |_| {})),
        }
    }

    #[inline]
    fn pick_by(
        &self,
        ask: impl Fn(&Self, &Candidates, u32) -> Option<usize>,
        leave: impl Fn(&Arc<Candidate>),
    ) -> Option<usize> {
        let all = &self.choice.candidates;
        match &self.memory {
            Memory::HowMany(turns) => ask(self, all, turns.fetch_add(1, Relaxed)),
            Memory::Which(tried) => {
                tried.pick(all, |nodes, number| ask(self, nodes, number), leave)
            }
        }
    }

    /// A strategy may be somebody else's: an index that is out of range is no answer.
    fn ask(&self, nodes: &Candidates, number: u32) -> Option<usize> {
        let turn = Turn {
            number,
            start: self.start,
            hash_key: self.hash_key,
        };
        self.strategy()
            .pick(nodes, &turn)
            .filter(|&index| index < nodes.len())
    }

    fn strategy(&self) -> &dyn Strategy {
        let asked = self.asked.as_deref();
        &**asked.map_or(&self.choice.strategy, |asked| &asked.strategy)
    }

    /// Asks again when a node is named that is out, or new and not admitted yet. A strategy that insists is
    /// asked over those who are in use; on a new one it may insist, unless it goes by load: the new one is idle,
    /// and it would name no other.
    ///
    /// There is one die for all that: with one for each draw who is named again and again would be let in at last.
    fn ask_for_admitted(&self, nodes: &Candidates, number: u32) -> Option<usize> {
        let Some(admission) = nodes.admission() else {
            return self.ask(nodes, number);
        };
        let (die, mut new) = (fastrand::f64(), None);
        for _ in 0..DRAWS {
            let index = self.ask(nodes, number)?;
            match admission.admits(&nodes[index], die) {
                Admitted::Yes => return Some(index),
                Admitted::NotYet => new = Some(index),
                Admitted::No => {}
            }
        }
        if nodes.len() <= FEW && self.strategy().goes_by_load() {
            let in_their_turn = || in_their_turn(nodes, admission, die);
            let chosen = self.ask_over(in_their_turn, nodes, number, admission);
            return chosen.or(new);
        }
        new.or_else(|| self.ask_over(|| in_use(nodes), nodes, number, admission))
    }

    /// Whoever comes too late for the one attempt at a node asks over those who are still in use.
    fn ask_over(
        &self,
        admitted: impl Fn() -> Vec<usize>,
        nodes: &Candidates,
        number: u32,
        admission: &Admission,
    ) -> Option<usize> {
        for _ in 0..DRAWS {
            let admitted = admitted();
            let index = admitted[self.ask(&nodes.only(&admitted), number)?];
            if admission.admits(&nodes[index], 0.0) != Admitted::No {
                return Some(index);
            }
        }
        None
    }

    pub(super) fn node(&self, index: usize) -> Option<&Arc<Candidate>> {
        self.choice.candidates.get(index)
    }

    pub(super) fn has_untried(&self) -> bool {
        match &self.memory {
            Memory::HowMany(_) => false,
            Memory::Which(tried) => tried.leaves_any(&self.choice.candidates),
        }
    }
}
