use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tower_micro_registry::Service;

use crate::filter::left_of;
use crate::health::Admission;
use crate::picker::{Choice, Choices};
use crate::strategy::anywhere;
use crate::{Candidate, Candidates, Filter, SelectError, SelectOptions, Strategy};

/// How many filter lists a snapshot remembers the outcome of. Past it the oldest goes.
const VIEWS: usize = 16;

/// What the registry said of one service at one moment.
pub(super) struct Snapshot {
    all: Choices,
    strategy: Arc<dyn Strategy>,
    admission: Option<Arc<Admission>>,
    parts: Vec<Part>,
    skipped: usize,
    views: ArcSwap<Vec<View>>,
}

/// One version of the service, and which of the candidates serve it.
#[derive(Debug)]
pub(super) struct Part {
    /// Without its nodes.
    pub(super) service: Arc<Service>,
    pub(super) nodes: Range<usize>,
}

/// What some filters leave: `None` if not even a service.
#[derive(Clone)]
struct View {
    filters: Vec<Filter>,
    left: Option<Arc<Choices>>,
}

impl Snapshot {
    pub(super) fn new(
        candidates: &Candidates,
        parts: Vec<Part>,
        skipped: usize,
        strategy: Arc<dyn Strategy>,
        admission: Option<Arc<Admission>>,
    ) -> Self {
        let all = Choices::new(candidates, &strategy);
        Self {
            all,
            strategy,
            admission,
            parts,
            skipped,
            views: ArcSwap::default(),
        }
    }

    pub(super) fn candidates(&self) -> &Candidates {
        self.all.candidates()
    }

    #[cfg(test)]
    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(super) fn skipped(&self) -> usize {
        self.skipped
    }

    /// go-micro v2 `selector/default.go`, `Select`.
    pub(super) fn choice(&self, options: &SelectOptions) -> Result<Arc<Choice>, SelectError> {
        if self.parts.is_empty() {
            return Err(SelectError::NotFound);
        }
        self.left(options).ok_or(SelectError::NoneAvailable)
    }

    fn left(&self, options: &SelectOptions) -> Option<Arc<Choice>> {
        let (filters, named) = (&options.filters, options.strategy.as_ref());
        if filters.is_empty() {
            return Some(Arc::clone(self.all.by(named)));
        }
        if !filters.iter().all(Filter::is_pure) {
            let list = self.filtered(filters)?;
            let strategy = named.unwrap_or(&self.strategy);
            let candidates = Candidates::frozen(list, None, self.admission.clone());
            return Some(Choice::new(candidates, Arc::clone(strategy)));
        }
        let views = self.views.load();
        match views.iter().find(|view| view.filters == *filters) {
            Some(view) => view.left.as_ref().map(|left| Arc::clone(left.by(named))),
            None => self.view(filters).map(|left| Arc::clone(left.by(named))),
        }
    }

    /// Works out what `filters` leave, and remembers it until the next change of the registry.
    fn view(&self, filters: &[Filter]) -> Option<Arc<Choices>> {
        let left = self.filtered(filters).map(|list| {
            let cursor = Some(Arc::new(anywhere()));
            let candidates = Candidates::frozen(list, cursor, self.admission.clone());
            Arc::new(Choices::new(&candidates, &self.strategy))
        });
        let view = View {
            filters: filters.to_vec(),
            left: left.clone(),
        };
        self.views.rcu(|views| {
            let oldest = usize::from(views.len() == VIEWS);
            views
                .iter()
                .skip(oldest)
                .chain([&view])
                .cloned()
                .collect::<Vec<_>>()
        });
        left
    }

    fn filtered(&self, filters: &[Filter]) -> Option<Vec<Arc<Candidate>>> {
        let all = self.candidates();
        let left = |part: &Part| {
            left_of(&part.service, &all[part.nodes.clone()], filters, |node| {
                node
            })
        };
        let lists: Vec<_> = self.parts.iter().filter_map(left).collect();
        (!lists.is_empty()).then(|| lists.concat())
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("nodes", &self.candidates().len())
            .field("skipped", &self.skipped)
            .field(
                "versions",
                &self
                    .parts
                    .iter()
                    .map(|part| &part.service.version)
                    .collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}
