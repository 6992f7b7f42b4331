use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, OnceLock};
use std::thread;

use crate::{Candidates, Strategy};

/// More handles than this save nothing.
const MOST_HANDLES: usize = 16;

/// From whom to choose, and how: what all pickers made from one snapshot have in common.
#[derive(Debug)]
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
        Arc::new(Self {
            candidates,
            strategy,
            _apart: Apart::default(),
        })
    }
}

/// The choices that calls may ask for, from one list of candidates.
#[derive(Debug)]
pub(crate) struct Choices {
    own: Handles,
    /// By the strategy that calls name instead of the list's own. Most clients name one and the
    /// same.
    named: OnceLock<Handles>,
}

impl Choices {
    pub(crate) fn new(candidates: &Candidates, strategy: &Arc<dyn Strategy>) -> Self {
        strategy.prepare(candidates);
        Self {
            own: Handles::new(candidates, strategy),
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
        let handles = || Handles::new(self.candidates(), named);
        self.named.get_or_init(handles).mine()
    }

    pub(crate) fn candidates(&self) -> &Candidates {
        &self.own.mine().candidates
    }
}

/// The same choice several times over, so that cores do not fight for one reference count. As many as a power of
/// two, so that to choose among them is no division.
#[derive(Debug)]
struct Handles(Vec<Arc<Choice>>);

impl Handles {
    fn new(candidates: &Candidates, strategy: &Arc<dyn Strategy>) -> Self {
        let choice = || Choice::new(candidates.clone(), Arc::clone(strategy));
        Self((0..handles()).map(|_| choice()).collect())
    }

    /// The handle of this thread; other threads may have the same.
    fn mine(&self) -> &Arc<Choice> {
        &self.0[lane() & (self.0.len() - 1)]
    }
}

fn handles() -> usize {
    static HANDLES: LazyLock<usize> = LazyLock::new(|| {
        thread::available_parallelism()
            .map_or(1, NonZero::get)
            .next_power_of_two()
            .min(MOST_HANDLES)
    });
    *HANDLES
}

/// A small number for each thread, in the order in which they first choose.
fn lane() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static LANE: usize = NEXT.fetch_add(1, Relaxed));
    LANE.try_with(|&lane| lane).unwrap_or_default()
}
