//! The nodes a [`Strategy`](crate::Strategy) chooses from: a frozen list, with what was worked out
//! beforehand.
//!
//! It is a slice of `Arc<Candidate>`s by [`Deref`]. A registry selector makes one per change of the
//! registry, not one per call, so what is worth computing once stands here: the running sum of the
//! weights, the [cursor](Candidates::cursor) of strategies that go round across calls, and the ring of those that
//! [hash](crate::RingHash). A clone costs one reference count.
//!
//! # Example
//!
//! ```
//! use tower_micro_selector::{Candidate, Candidates};
//!
//! let candidates = Candidates::new(vec![Candidate::at("10.0.0.1:1"), Candidate::at("10.0.0.2:1")]);
//! assert_eq!(candidates.len(), 2);
//! assert_eq!(candidates[1].address, "10.0.0.2:1");
//! assert_eq!(candidates.cumulative_weights(), None, "they are equal");
//! ```

use std::ops::Deref;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};

use crate::Candidate;
use crate::health::Admission;
use crate::strategy::Ring;

/// A frozen list of candidates. See the [module docs](self) for an example.
#[derive(Clone, Debug, Default)]
pub struct Candidates(Arc<Frozen>);

#[derive(Debug, Default)]
struct Frozen {
    list: Vec<Arc<Candidate>>,
    cumulative: Option<Box<[u64]>>,
    cursor: Option<Arc<AtomicUsize>>,
    admission: Option<Arc<Admission>>,
    ring: OnceLock<Option<Ring>>,
}

impl Candidates {
    /// The candidates of `list`, in that order. Looks at each weight once.
    #[must_use]
    pub fn new(list: Vec<Arc<Candidate>>) -> Self {
        Self::frozen(list, None, None)
    }

    /// As [`new`](Self::new), for a list whose strategies go on where `cursor` stands.
    #[must_use]
    pub fn with_cursor(list: Vec<Arc<Candidate>>, cursor: Arc<AtomicUsize>) -> Self {
        Self::frozen(list, Some(cursor), None)
    }

    /// As [`new`](Self::new), for nodes that `admission` says yes or no to.
    pub(crate) fn frozen(
        list: Vec<Arc<Candidate>>,
        cursor: Option<Arc<AtomicUsize>>,
        admission: Option<Arc<Admission>>,
    ) -> Self {
        let cumulative = differ(&list).then(|| cumulative(&list));
        Self(Arc::new(Frozen {
            list,
            cumulative,
            cursor,
            admission,
            ring: OnceLock::new(),
        }))
    }

    /// The same for who knows that none [weighs](Candidate::is_weighted) more or less than another: to look at the
    /// weights of ten thousand takes longer than all else.
    pub(crate) fn unweighted(
        list: Vec<Arc<Candidate>>,
        cursor: Option<Arc<AtomicUsize>>,
        admission: Option<Arc<Admission>>,
    ) -> Self {
        Self(Arc::new(Frozen {
            list,
            cumulative: None,
            cursor,
            admission,
            ring: OnceLock::new(),
        }))
    }

    /// Those at `indices` alone. They weigh what they weighed in the whole: where the others had
    /// all the weight, these have none.
    pub(crate) fn only(&self, indices: &[usize]) -> Self {
        let list: Vec<_> = indices
            .iter()
            .map(|&index| Arc::clone(&self[index]))
            .collect();
        let cumulative = self.0.cumulative.is_some().then(|| cumulative(&list));
        Self(Arc::new(Frozen {
            list,
            cumulative,
            cursor: None,
            admission: self.0.admission.clone(),
            ring: OnceLock::new(),
        }))
    }

    /// Who must say yes to whoever is chosen, while somebody must.
    pub(crate) fn admission(&self) -> Option<&Admission> {
        self.0
            .admission
            .as_deref()
            .filter(|admission| admission.is_attentive())
    }

    /// Whether those who fail go, and nobody has gone.
    pub(crate) fn are_all_well(&self) -> bool {
        let admission = self.0.admission.as_deref();
        admission.is_some_and(Admission::finds_all_well)
    }

    /// The same nodes, of those that `keeps` keeps.
    pub(crate) fn keeping(&self, list: Vec<Arc<Candidate>>) -> Self {
        Self::frozen(list, self.0.cursor.clone(), self.0.admission.clone())
    }

    /// The list, if nobody else has it any more.
    pub(crate) fn into_unshared(self) -> Option<Vec<Arc<Candidate>>> {
        Arc::into_inner(self.0).map(|frozen| frozen.list)
    }

    /// `sums[i]` is the weight of the candidates up to and with `i`; `None` when all weigh the same
    /// (zero included).
    #[must_use]
    pub fn cumulative_weights(&self) -> Option<&[u64]> {
        self.0.cumulative.as_deref()
    }

    /// Sorts the places of all nodes on a circle, unless that is done.
    pub(crate) fn prepare_ring(&self) {
        self.0.ring.get_or_init(|| Ring::new(self));
    }

    /// The places of all nodes, if they are sorted.
    pub(crate) fn ring(&self) -> Option<&Ring> {
        self.0.ring.get()?.as_ref()
    }

    /// A counter that outlives this list: all lists of one service, one after the other, have the
    /// same. `None` for a list made for a single call.
    #[must_use]
    pub fn cursor(&self) -> Option<&AtomicUsize> {
        self.0.cursor.as_deref()
    }
}

impl Deref for Candidates {
    type Target = [Arc<Candidate>];

    fn deref(&self) -> &[Arc<Candidate>] {
        &self.0.list
    }
}

fn differ(list: &[Arc<Candidate>]) -> bool {
    list.windows(2)
        .any(|pair| pair[0].weight() != pair[1].weight())
}

fn cumulative(list: &[Arc<Candidate>]) -> Box<[u64]> {
    let sum = |sum: &mut u64, candidate: &Arc<Candidate>| {
        *sum += u64::from(candidate.weight());
        Some(*sum)
    };
    list.iter().scan(0, sum).collect()
}
