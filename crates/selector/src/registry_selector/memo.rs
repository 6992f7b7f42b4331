use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use crate::Strategy;
use crate::picker::Choice;

/// How many services a thread remembers the last choice of.
const REMEMBERED: usize = 8;

thread_local! {
    static LAST: RefCell<[Last; REMEMBERED]> = const { RefCell::new([const { Last::nothing() }; REMEMBERED]) };
}

/// Which publication of which service this is: as long as it stays the same, so does what was chosen from.
///
/// With it a thread remembers the choice it made last, and makes it again without a look at what was published:
/// two atomic operations on memory that others use less. It remembers weakly: a service that is gone, or a node,
/// does not stay because of it.
#[derive(Debug)]
pub(super) struct Edition {
    service: u64,
    number: AtomicU64,
}

struct Last {
    service: u64,
    number: u64,
    /// Where the strategy is that the call named: to tell choices apart, no more. A picker asks the one that its
    /// call names, whatever the choice came with.
    named: Option<usize>,
    choice: Weak<Choice>,
}

impl Last {
    const fn nothing() -> Self {
        Self {
            service: 0,
            number: 0,
            named: None,
            choice: Weak::new(),
        }
    }
}

impl Default for Edition {
    fn default() -> Self {
        static SERVICES: AtomicU64 = AtomicU64::new(1);
        Self {
            service: SERVICES.fetch_add(1, Ordering::Relaxed),
            number: AtomicU64::new(1),
        }
    }
}

impl Edition {
    /// The number of what can be seen now. To be asked before it is looked at.
    #[inline]
    pub(super) fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// Something else was published.
    pub(super) fn next(&self) {
        self.number.fetch_add(1, Ordering::Release);
    }

    /// What this thread chose last, if that is still how it is.
    #[inline]
    pub(super) fn last(&self, named: Option<&Arc<dyn Strategy>>) -> Option<Arc<Choice>> {
        let recall = |last: &RefCell<[Last; REMEMBERED]>| {
            let last = last.try_borrow().ok()?;
            let last = &last[self.place()];
            let is_so = last.service == self.service
                && last.number == self.number()
                && last.named == named.map(place_of);
            if is_so { last.choice.upgrade() } else { None }
        };
        LAST.try_with(recall).ok().flatten()
    }

    /// Remembers what this thread chose from the publication of this number.
    pub(super) fn remember(
        &self,
        number: u64,
        named: Option<&Arc<dyn Strategy>>,
        choice: &Arc<Choice>,
    ) {
        let remembered = Last {
            service: self.service,
            number,
            named: named.map(place_of),
            choice: Arc::downgrade(choice),
        };
        let _ = LAST.try_with(|last| {
            if let Ok(mut last) = last.try_borrow_mut() {
                last[self.place()] = remembered;
            }
        });
    }

    fn place(&self) -> usize {
        self.service as usize % REMEMBERED
    }
}

fn place_of(strategy: &Arc<dyn Strategy>) -> usize {
    Arc::as_ptr(strategy).cast::<()>() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Candidate, Candidates, P2c, Random};

    fn choice(strategy: Arc<dyn Strategy>) -> Arc<Choice> {
        Choice::new(Candidates::new(vec![Candidate::at("10.0.0.1:1")]), strategy)
    }

    #[test]
    fn a_choice_is_remembered_until_the_next_edition() {
        let (edition, choice) = (Edition::default(), choice(Arc::new(P2c)));
        assert!(edition.last(None).is_none());
        edition.remember(edition.number(), None, &choice);
        assert!(
            edition
                .last(None)
                .is_some_and(|last| Arc::ptr_eq(&last, &choice))
        );
        edition.next();
        assert!(edition.last(None).is_none());
    }

    #[test]
    fn a_choice_is_that_of_its_service_and_strategy() {
        let editions: Vec<_> = (0..2 * REMEMBERED).map(|_| Edition::default()).collect();
        let choices: Vec<_> = editions.iter().map(|_| choice(Arc::new(P2c))).collect();
        for (edition, choice) in editions.iter().zip(&choices) {
            edition.remember(edition.number(), None, choice);
            let other: Arc<dyn Strategy> = Arc::new(Random);
            assert!(edition.last(Some(&other)).is_none());
        }
        for (edition, choice) in editions.iter().zip(&choices) {
            let last = edition.last(None);
            assert!(last.is_none_or(|last| Arc::ptr_eq(&last, choice)));
        }
    }

    #[test]
    fn a_choice_that_nobody_else_has_is_forgotten() {
        let (edition, choice) = (Edition::default(), choice(Arc::new(P2c)));
        edition.remember(edition.number(), None, &choice);
        drop(choice);
        assert!(edition.last(None).is_none());
    }
}
