//! The guard that makes every end be told once.

use http::{Request, Response};
use tower_micro_call::{End, Ended};

use crate::{Ending, Watch};

/// A watch that has not ended. Dropped, it ends.
pub(crate) struct Open<W: Watch> {
    watch: Option<W>,
    answered: bool,
    /// Whether what is looked at runs now. It stays so if that panics.
    runs: bool,
}

impl<W: Watch> Open<W> {
    pub(crate) const fn new(watch: Option<W>) -> Self {
        let (answered, runs) = (false, false);
        Self {
            watch,
            answered,
            runs,
        }
    }

    /// Whether somebody looks on.
    pub(crate) const fn is_watched(&self) -> bool {
        self.watch.is_some()
    }

    /// Hands `request` on, inside of the watch.
    pub(crate) fn start<B: 'static, T>(
        &mut self,
        request: Request<B>,
        run: impl FnOnce(Request<B>) -> T,
    ) -> T {
        let Some(watch) = &mut self.watch else {
            return run(request);
        };
        self.runs = true;
        let outcome = watch.start(request, run);
        self.runs = false;
        outcome
    }

    pub(crate) fn within<T>(&mut self, run: impl FnOnce() -> T) -> T {
        let Some(watch) = &mut self.watch else {
            return run();
        };
        self.runs = true;
        let outcome = watch.within(run);
        self.runs = false;
        outcome
    }

    pub(crate) fn answered<B: 'static>(&mut self, response: &mut Response<B>) {
        self.answered = true;
        if let Some(watch) = &mut self.watch {
            watch.answered(response);
        }
    }

    /// The same, to be ended elsewhere.
    pub(crate) fn take(&mut self) -> Self {
        let watch = self.watch.take();
        Self { watch, ..*self }
    }

    /// Ends the watch, if it has not ended.
    pub(crate) fn end(&mut self, ending: Ending<'_>) {
        if let Some(watch) = self.watch.take() {
            watch.ended(ending);
        }
    }
}

impl<W: Watch> Ended for Open<W> {
    fn ended(mut self: Box<Self>, end: End<'_>) {
        self.end(Ending::of(end));
    }
}

impl<W: Watch> Drop for Open<W> {
    fn drop(&mut self) {
        let answered = self.answered;
        self.end(match self.runs {
            true => Ending::Panicked,
            false => Ending::Dropped { answered },
        });
    }
}

impl<W: Watch> std::fmt::Debug for Open<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_watched() { "Open" } else { "Closed" })
    }
}
