use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use arc_swap::{ArcSwap, ArcSwapOption};
use event_listener::{Event, EventListener};

use super::driver::Heard;
use super::memo::Edition;
use super::snapshot::Snapshot;
use crate::{Picker, SelectError, SelectOptions, Selection};

/// What is known of one service: written by its task, read by every call.
#[derive(Default)]
pub(super) struct Set {
    state: ArcSwap<State>,
    edition: Edition,
    changed: Event,
    trouble: ArcSwapOption<SelectError>,
    /// Whether the task was stopped, so that somebody must begin again.
    is_left: AtomicBool,
    /// What that task had heard.
    left: Mutex<Option<Heard>>,
}

#[derive(Debug, Default)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one of a service, and it is in a box"
)]
enum State {
    /// Nobody asks the registry.
    #[default]
    Unwatched,
    /// The registry was asked, and has not answered.
    Waiting,
    /// It failed before it said anything; the task goes on, as the watch does.
    Failing(SelectError),
    /// The task ended before the registry said anything.
    Over(SelectError),
    /// The task was stopped before the registry said anything; who waits begins again.
    Stopped(SelectError),
    /// It said this.
    Known(Snapshot),
}

impl Set {
    /// The answer to a call, as far as there is one; `None` if it must begin to watch, or wait.
    #[inline]
    pub(super) fn select(self: &Arc<Self>, options: &SelectOptions) -> Option<Selection> {
        let named = options.strategy.as_ref();
        if options.filters.is_empty()
            && let Some(choice) = self.edition.last(named)
        {
            return Some(Selection::Ready(Ok(Picker::of(choice, options))));
        }
        let edition = self.edition.number();
        if self.is_left.load(Relaxed) {
            return None;
        }
        self.answer(options, Some(edition))
    }

    /// The answer by what is known, to be remembered as that of this edition.
    fn answer(
        self: &Arc<Self>,
        options: &SelectOptions,
        edition: Option<u64>,
    ) -> Option<Selection> {
        match &**self.state.load() {
            State::Known(snapshot) => {
                let choice = snapshot.choice(options);
                if let (Ok(choice), Some(edition), true) =
                    (&choice, edition, options.filters.is_empty())
                {
                    let named = options.strategy.as_ref();
                    self.edition.remember(edition, named, choice);
                }
                let picker = choice.map(|choice| Picker::of(choice, options));
                Some(Selection::Ready(picker))
            }
            State::Failing(error) => Some(Selection::Ready(Err(error.clone()))),
            State::Waiting | State::Unwatched | State::Over(_) | State::Stopped(_) => None,
        }
    }

    /// The answer by what is known, if anything is.
    pub(super) fn known(self: &Arc<Self>, options: &SelectOptions) -> Option<Selection> {
        self.answer(options, None)
    }

    /// What a call that waits is told; `None` as long as it is to go on waiting.
    pub(super) fn settled(&self, options: &SelectOptions) -> Option<Result<Picker, SelectError>> {
        match &**self.state.load() {
            State::Known(snapshot) => {
                let choice = snapshot.choice(options);
                Some(choice.map(|choice| Picker::of(choice, options)))
            }
            State::Failing(error) | State::Over(error) | State::Stopped(error) => {
                Some(Err(error.clone()))
            }
            State::Unwatched | State::Waiting => None,
        }
    }

    /// Ready when something else is known than now.
    pub(super) fn changed(&self) -> EventListener {
        self.changed.listen()
    }

    /// Whether there is no task, so that somebody must begin one.
    pub(super) fn is_unattended(&self) -> bool {
        let is_without = matches!(**self.state.load(), State::Unwatched | State::Over(_));
        is_without || self.is_left.load(Relaxed)
    }

    /// Whether the task was stopped before anything was known.
    pub(super) fn is_stopped(&self) -> bool {
        matches!(**self.state.load(), State::Stopped(_))
    }

    /// Somebody begins to watch, and goes on from what was heard, if a task was stopped. What that made known stays.
    pub(super) fn expect(&self) -> Option<Heard> {
        let mut left = self.left();
        self.is_left.store(false, Relaxed);
        if !self.is_known() {
            self.trouble.store(None);
            self.enter(State::Waiting);
        }
        left.take()
    }

    /// The task was stopped when it had heard this. Whoever begins again waits for the lock, and so for all of it.
    pub(super) fn leave(&self, heard: Heard, reason: SelectError) {
        let mut left = self.left();
        *left = Some(heard);
        self.is_left.store(true, Relaxed);
        let error = self.trouble().unwrap_or(reason);
        // What has panicked may do so again, each time that it is begun.
        if thread::panicking() {
            self.end_as(error, State::Over);
        } else {
            self.end_as(error, State::Stopped);
        }
        self.edition.next();
    }

    fn left(&self) -> MutexGuard<'_, Option<Heard>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The registry said this.
    pub(super) fn publish(&self, snapshot: Snapshot) {
        self.trouble.store(None);
        self.enter(State::Known(snapshot));
    }

    /// The registry said again what is known.
    pub(super) fn confirm(&self) {
        self.trouble.store(None);
    }

    /// The registry failed; the task goes on.
    pub(super) fn fail(&self, error: SelectError) {
        self.trouble.store(Some(Arc::new(error.clone())));
        if !self.is_known() {
            self.enter(State::Failing(error));
        }
    }

    /// The task ends, or could not begin.
    pub(super) fn end(&self, error: SelectError) {
        self.end_as(error, State::Over);
    }

    fn end_as(&self, error: SelectError, state: fn(SelectError) -> State) {
        self.trouble.store(Some(Arc::new(error.clone())));
        if !self.is_known() {
            self.enter(state(error));
        }
    }

    fn enter(&self, state: State) {
        self.state.store(Arc::new(state));
        self.edition.next();
        self.changed.notify(usize::MAX);
    }

    pub(super) fn is_known(&self) -> bool {
        matches!(**self.state.load(), State::Known(_))
    }

    /// Looks at what the registry said last, if it said anything.
    pub(super) fn look<T>(&self, at: impl FnOnce(&Snapshot) -> T) -> Option<T> {
        match &**self.state.load() {
            State::Known(snapshot) => Some(at(snapshot)),
            _ => None,
        }
    }

    pub(super) fn trouble(&self) -> Option<SelectError> {
        self.trouble.load().as_deref().cloned()
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Set")
            .field("state", &self.state.load())
            .field("trouble", &self.trouble())
            .finish_non_exhaustive()
    }
}
