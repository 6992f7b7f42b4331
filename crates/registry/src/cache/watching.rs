//! One watch that never ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use tokio::time::{Instant, Sleep, sleep};

use super::backoff::spread;
use super::opening::{Empty, Opened, ended, open};
use super::status::Reporter;
use super::{CacheOptions, compare};
use crate::{BoxFuture, Change, Changes, Error, Registry, Service, ServiceName};

const RESYNC_JITTER: f64 = 0.1;

/// Reads from `current`; opens another beside it when the clock says so. At every moment it reads, opens or
/// waits for the clock, often two of them at once.
pub(super) struct Watching {
    registry: Arc<dyn Registry>,
    service: ServiceName,
    options: CacheOptions,
    reporter: Reporter,
    /// What the reader has folded so far; none before the first set.
    known: Option<Vec<Service>>,
    current: Option<Changes>,
    opening: Option<BoxFuture<'static, Result<Opened, Error>>>,
    /// When to open next; none while an opening is under way.
    clock: Option<Pin<Box<Sleep>>>,
    /// Since when nothing has failed.
    good_since: Option<Instant>,
    failures: u32,
    doubt: Doubt,
}

/// What is made of sets without a node.
#[derive(Default)]
struct Doubt {
    /// The last thing the registry said was one, which we did not believe yet.
    is_open: bool,
    /// When one was not believed last.
    last: Option<Instant>,
    /// How many were not, one soon after the other.
    count: u32,
    /// The second look is still to be taken.
    waits: bool,
}

impl Doubt {
    /// Whether one was not believed, and nothing has spoken against it within `time`.
    fn is_open(&self, time: Duration) -> bool {
        self.is_open && self.last.is_some_and(|last| last.elapsed() < time)
    }

    /// One is not believed now; how many were not before it, with less than `quiet` in between.
    fn raise(&mut self, quiet: Duration) -> u32 {
        if self.last.is_none_or(|last| last.elapsed() >= quiet) {
            self.count = 0;
        }
        self.is_open = true;
        self.last = Some(Instant::now());
        let before = self.count;
        self.count = before.saturating_add(1);
        before
    }

    fn settle(&mut self) {
        self.is_open = false;
    }

    /// The second look is taken now, if it has waited.
    fn begin_look(&mut self) -> bool {
        if self.waits {
            self.last = Some(Instant::now());
        }
        std::mem::take(&mut self.waits)
    }
}

type Item = Result<Change, Error>;

impl Watching {
    pub(super) fn new(
        registry: Arc<dyn Registry>,
        service: ServiceName,
        options: CacheOptions,
        reporter: Reporter,
    ) -> Self {
        let mut watching = Self {
            registry,
            service,
            options,
            reporter,
            known: None,
            current: None,
            opening: None,
            clock: None,
            good_since: None,
            failures: 0,
            doubt: Doubt::default(),
        };
        watching.open_anew();
        watching
    }

    fn open(&mut self, empty: Empty) {
        let (registry, service) = (self.registry.clone(), self.service.clone());
        self.opening = Some(Box::pin(open(
            registry,
            service,
            empty,
            self.options.timeout,
        )));
        self.clock = None;
    }

    fn open_again(&mut self) {
        if self.doubt.begin_look() {
            return self.open(Empty::Believe);
        }
        self.doubt.settle();
        self.open_anew();
    }

    /// Where there are nodes, or were, an empty set is read twice.
    fn open_anew(&mut self) {
        self.open(if self.has_nodes() {
            Empty::Confirm
        } else {
            Empty::Believe
        });
    }

    /// Whether nodes are known: to the reader, or, before it has a set, to the reader of a watch before this one.
    fn has_nodes(&self) -> bool {
        match &self.known {
            Some(set) => compare::nodes(set) > 0,
            None => self.reporter.had_nodes(),
        }
    }

    /// Takes over the new watch; the reader hears of its set if it is news, or the first after a failure.
    fn opened(&mut self, opened: Opened) -> Option<Item> {
        let Opened {
            set,
            changes,
            is_confirmed,
        } = opened;
        // There may have been no nodes yet when it was asked for.
        if !is_confirmed && self.is_doubtful(&set) {
            self.look_again();
            return None;
        }
        // A set with nodes may be what the registry always begins with: the one that follows on it decides.
        if compare::nodes(&set) == 0 {
            self.doubt.settle();
        }
        let recovered = self.good_since.is_none();
        let news = recovered
            || self
                .known
                .as_ref()
                .is_none_or(|known| !compare::same(known, &set));
        self.reporter.confirm(&set);
        self.current = Some(changes);
        self.good_since.get_or_insert_with(Instant::now);
        self.clock = self.resync();
        news.then(|| Ok(Change::Reset(self.known.insert(set).clone())))
    }

    fn resync(&self) -> Option<Pin<Box<Sleep>>> {
        let resync = self.options.resync;
        (!resync.is_zero()).then(|| wait(spread(resync, RESYNC_JITTER, fastrand::f64())))
    }

    fn pass(&mut self, change: Change) -> Option<Item> {
        if matches!(&change, Change::Reset(set) if self.is_doubtful(set)) {
            self.look_again();
            return None;
        }
        self.doubt.settle();
        let known = self.known.get_or_insert_default();
        change.clone().apply(known);
        self.reporter.confirm(known);
        Some(Ok(change))
    }

    fn is_doubtful(&self, set: &[Service]) -> bool {
        // What was looked at again has had its time to come, and as much again to be taken back.
        let time = self.options.timeout.saturating_mul(2);
        compare::nodes(set) == 0 && self.has_nodes() && !self.doubt.is_open(time)
    }

    /// Nothing that follows on an empty set may be folded into the one we keep, so this watch is done with. The second look is taken at
    /// once, further ones after a wait.
    fn look_again(&mut self) {
        self.current = None;
        let backoff = self.options.backoff;
        let before = self.doubt.raise(backoff.cap);
        match before.checked_sub(1) {
            _ if self.opening.is_some() => {}
            None => self.open(Empty::Believe),
            Some(again) => {
                self.doubt.waits = true;
                self.clock = Some(wait(backoff.after(again, fastrand::f64())));
            }
        }
    }

    fn fail(&mut self, error: Error) -> Item {
        self.reporter.fail(&error);
        let lasted = self
            .good_since
            .take()
            .is_some_and(|since| since.elapsed() >= self.options.backoff.cap);
        if lasted {
            self.failures = 0;
        }
        if self.opening.is_none() {
            self.clock = Some(wait(
                self.options.backoff.after(self.failures, fastrand::f64()),
            ));
            self.failures = self.failures.saturating_add(1);
        }
        Err(error)
    }

    fn poll_opening(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        let Some(opening) = &mut self.opening else {
            return Poll::Pending;
        };
        let result = ready!(opening.as_mut().poll(cx));
        self.opening = None;
        Poll::Ready(match result {
            Ok(opened) => self.opened(opened),
            Err(error) => Some(self.fail(error)),
        })
    }

    fn poll_clock(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        let Some(clock) = &mut self.clock else {
            return Poll::Pending;
        };
        ready!(clock.as_mut().poll(cx));
        self.open_again();
        Poll::Ready(None)
    }

    fn poll_current(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        let Some(current) = &mut self.current else {
            return Poll::Pending;
        };
        let item = ready!(current.as_mut().poll_next(cx));
        if let Some(Ok(change)) = item {
            return Poll::Ready(self.pass(change));
        }
        self.current = None;
        let error = item
            .and_then(Result::err)
            .unwrap_or_else(|| ended(&*self.registry, &self.service));
        Poll::Ready(Some(self.fail(error)))
    }

    /// One step: something for the reader, or `None` if only we have moved.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        // The clock before the watch: a registry that never stops talking must not put off the resync.
        if let Poll::Ready(step) = self.poll_opening(cx) {
            return Poll::Ready(step);
        }
        if let Poll::Ready(step) = self.poll_clock(cx) {
            return Poll::Ready(step);
        }
        self.poll_current(cx)
    }
}

fn wait(duration: Duration) -> Pin<Box<Sleep>> {
    Box::pin(sleep(duration))
}

impl Stream for Watching {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(item) = ready!(self.poll_step(cx)) {
                return Poll::Ready(Some(item));
            }
        }
    }
}
