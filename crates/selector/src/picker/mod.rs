//! The choosing hand of one call: made by one `select`, asked once per attempt.
//!
//! It is what go-micro v2 calls `Next` (`selector/selector.go`): the nodes are frozen when it is
//! made; what the registry says later touches the next call, not this one. It may be asked from two
//! attempts at once.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//! use tower_micro_selector::{Candidate, Picker, RoundRobin};
//!
//! let nodes = vec![Candidate::at("10.0.0.1:1"), Candidate::at("10.0.0.2:1")];
//! let picker = Picker::one_of(nodes, Arc::new(RoundRobin), false);
//! let (first, second) = (picker.next()?, picker.next()?);
//! assert_ne!(first.address, second.address);
//! # Ok::<(), tower_micro_selector::SelectError>(())
//! ```

mod choice;
mod one_of;
mod tried;

use std::fmt;
use std::sync::Arc;

use crate::{Candidate, Candidates, SelectError, SelectOptions, Strategy};
pub(crate) use choice::{Choice, Choices};
use one_of::OneOf;

/// Names the node of the next attempt. Implemented for closures.
pub trait Next: Send + Sync {
    /// The node of the next attempt.
    ///
    /// # Errors
    ///
    /// [`SelectError::NoneAvailable`] when there is no node to choose from; whatever a picker of
    /// your own says.
    fn next(&self) -> Result<Arc<Candidate>, SelectError>;

    /// Whether [`next`](Self::next) would name a node that it has not named before.
    ///
    /// A retry that goes to another node need not wait first. `false` where nobody keeps count.
    fn has_untried(&self) -> bool {
        false
    }
}

impl<F> Next for F
where
    F: Fn() -> Result<Arc<Candidate>, SelectError> + Send + Sync,
{
    fn next(&self) -> Result<Arc<Candidate>, SelectError> {
        self()
    }
}

/// Chooses the nodes of one call. Clones share what was tried. See the [module docs](self) for an
/// example.
#[derive(Clone)]
pub struct Picker(Hand);

/// Ours is called without a table of functions, and is in no box: every call makes one.
#[derive(Clone)]
enum Hand {
    OneOf(OneOf),
    Other(Arc<dyn Next>),
}

/// A node that a [`Picker`] chose, without a reference of its own where the picker has one.
///
/// # Example
///
/// ```
/// use tower_micro_selector::{Candidate, Picker};
///
/// let picker = Picker::fixed(Candidate::at("10.0.0.1:1"));
/// let chosen = picker.choose()?;
/// assert_eq!(chosen.node(Some(&picker)).unwrap().address, "10.0.0.1:1");
/// # Ok::<(), tower_micro_selector::SelectError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Chosen(Place);

#[derive(Clone, Debug)]
enum Place {
    /// In the picker's list.
    Listed(usize),
    Own(Arc<Candidate>),
}

impl Chosen {
    /// The node, given the picker that chose it or a clone of that.
    #[must_use]
    pub fn node<'a>(&'a self, picker: Option<&'a Picker>) -> Option<&'a Arc<Candidate>> {
        match &self.0 {
            Place::Own(node) => Some(node),
            Place::Listed(index) => match &picker?.0 {
                Hand::OneOf(one_of) => one_of.node(*index),
                Hand::Other(_) => None,
            },
        }
    }
}

impl From<Arc<Candidate>> for Chosen {
    fn from(node: Arc<Candidate>) -> Self {
        Self(Place::Own(node))
    }
}

impl Picker {
    /// A picker that asks `next`.
    #[must_use]
    pub fn new(next: impl Next + 'static) -> Self {
        Self(Hand::Other(Arc::new(next)))
    }

    /// The same node for every attempt.
    #[must_use]
    pub fn fixed(candidate: Arc<Candidate>) -> Self {
        Self::new(move || Ok(Arc::clone(&candidate)))
    }

    /// What `strategy` chooses from `candidates`.
    ///
    /// With `avoid_tried`, a node that was handed out is not handed out again while there are
    /// others: when the strategy names one, it is asked again over those that are left.
    #[must_use]
    pub fn one_of(
        candidates: Vec<Arc<Candidate>>,
        strategy: Arc<dyn Strategy>,
        avoid_tried: bool,
    ) -> Self {
        let options = SelectOptions {
            avoid_tried,
            ..SelectOptions::default()
        };
        Self::among(Candidates::new(candidates), strategy, &options)
    }

    /// What `options.strategy`, or else `strategy`, chooses from `candidates`: for selectors that
    /// keep a list across calls. Follows `avoid_tried` (see [`one_of`](Self::one_of)) and
    /// `hash_key` too; the filters are the selector's.
    #[must_use]
    pub fn among(
        candidates: Candidates,
        strategy: Arc<dyn Strategy>,
        options: &SelectOptions,
    ) -> Self {
        Self::of(Choice::new(candidates, strategy), options)
    }

    #[inline]
    pub(crate) fn of(choice: Arc<Choice>, options: &SelectOptions) -> Self {
        Self(Hand::OneOf(OneOf::new(choice, options)))
    }

    /// One that chooses among those that `leaves` leaves; `None` if that is nobody. A picker that is not over
    /// a list stays as it is.
    pub(crate) fn narrowed(
        self,
        options: &SelectOptions,
        leaves: impl FnOnce(&[Arc<Candidate>]) -> Vec<Arc<Candidate>>,
    ) -> Option<Self> {
        let Hand::OneOf(one_of) = &self.0 else {
            return Some(self);
        };
        let (all, strategy) = (&one_of.choice.candidates, &one_of.choice.strategy);
        let left = leaves(all);
        if left.is_empty() {
            return None;
        }
        if left.len() == all.len() {
            return Some(self);
        }
        Some(Self::among(
            all.keeping(left),
            Arc::clone(strategy),
            options,
        ))
    }

    /// The node of the next attempt.
    ///
    /// # Errors
    ///
    /// See [`Next::next`].
    pub fn next(&self) -> Result<Arc<Candidate>, SelectError> {
        let chosen = self.choose()?;
        let node = chosen.node(Some(self)).cloned();
        node.ok_or(SelectError::NoneAvailable)
    }

    /// The same, for whoever has the picker at hand when it needs the node.
    ///
    /// # Errors
    ///
    /// See [`Next::next`].
    #[inline]
    pub fn choose(&self) -> Result<Chosen, SelectError> {
        match &self.0 {
            Hand::OneOf(one_of) => match one_of.pick() {
                Some(index) => Ok(Chosen(Place::Listed(index))),
                None => Err(SelectError::NoneAvailable),
            },
            Hand::Other(next) => next.next().map(Chosen::from),
        }
    }

    /// Whether there is nobody to choose from. One that is not over a list may know somebody at any time.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Hand::OneOf(one_of) => one_of.choice.candidates.is_empty(),
            Hand::Other(_) => false,
        }
    }

    /// Whether the next attempt can go to a node that was not tried. See [`Next::has_untried`].
    #[must_use]
    pub fn has_untried(&self) -> bool {
        match &self.0 {
            Hand::OneOf(one_of) => one_of.has_untried(),
            Hand::Other(next) => next.has_untried(),
        }
    }
}

impl fmt::Debug for Picker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picker").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
