//! A node that may be chosen, and what this client knows of it.
//!
//! What the registry says of a node is a [`Node`]; what a client learns by using it stands beside it:
//! how many attempts are under way, how long it takes to answer, and whether it is
//! [out](crate::health). Both travel together as an `Arc<Candidate>`.
//!
//! The knowledge outlives a re-discovery: when the registry announces the same node anew, at the same
//! address, the counters go on.
//!
//! # Latency
//!
//! It is the time from the begin of an attempt to the head of its response, as a moving average that
//! follows a peak at once and forgets it within some ten seconds (the "Peak EWMA" of Finagle,
//! `PeakEwma.scala`). A failure that is the node's counts as [four times](Candidate::fault) what it
//! usually takes, so that to fail fast is not to be fast. Nobody measures until a strategy asks:
//! [`PeakEwma`](crate::PeakEwma).
//!
//! # Example
//!
//! ```
//! use tower_micro_registry::Node;
//! use tower_micro_selector::Candidate;
//!
//! let candidate = Candidate::new(Node::new("greeter-1", "10.0.0.1:8080"));
//! let attempt = candidate.begin();
//! assert_eq!((candidate.address.as_str(), candidate.in_flight()), ("10.0.0.1:8080", 1));
//! drop(attempt);
//! assert_eq!(candidate.in_flight(), 0);
//! ```
//!
//! # Not here
//!
//! What makes a node go out and come back: see [`health`](crate::health).

mod in_flight;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use tower_micro_registry::{Metadata, Node};

use crate::Mark;
use crate::clock::{self, Instant};
use crate::health::{Admission, Evidence, Record};
use crate::latency::Latency;
pub use in_flight::InFlight;

/// The node metadata key that [`Candidate::weight`] is read from.
pub const WEIGHT: &str = "weight";

/// The weight of a node that does not say one.
pub const DEFAULT_WEIGHT: u32 = 1;

/// A node that may be chosen. See the [module docs](self) for an example.
// What every choice looks at stands first, beside the reference count: one cache line a node.
#[repr(C)]
pub struct Candidate {
    knowledge: Knowledge,
    weight: u32,
    node: Node,
    version: Arc<str>,
}

/// What this client learned of a node.
#[derive(Default)]
#[repr(C)]
struct Knowledge {
    /// The candidate that stood for the node first, and goes on to learn for those that came after.
    first: Option<Arc<Candidate>>,
    in_flight: AtomicU32,
    departed: AtomicBool,
    record: Record,
    admission: Option<Arc<Admission>>,
}

impl Candidate {
    /// A candidate for `node`, of no particular service version.
    #[must_use]
    pub fn new(node: Node) -> Arc<Self> {
        Self::with_version(node, "")
    }

    /// A candidate for `node`, which serves `version` of its service.
    #[must_use]
    pub fn with_version(node: Node, version: impl Into<Arc<str>>) -> Arc<Self> {
        Self::known(node, version.into(), Knowledge::default())
    }

    /// A candidate for a bare `address` (`host:port`), with an empty id and no metadata: the node
    /// that go-micro v2's `client.WithAddress` makes. The address is taken as it is; it fails where
    /// it is dialled.
    #[must_use]
    pub fn at(address: &str) -> Arc<Self> {
        Self::new(Node::new("", address))
    }

    /// One that `admission` says yes or no to.
    pub(crate) fn admitted_by(
        admission: Option<&Arc<Admission>>,
        node: Node,
        version: Arc<str>,
    ) -> Arc<Self> {
        let knowledge = Knowledge {
            admission: admission.cloned(),
            ..Knowledge::default()
        };
        let candidate = Self::known(node, version, knowledge);
        if let Some(admission) = admission {
            admission.welcome(&candidate);
        }
        candidate
    }

    /// The same node as the registry announces it now. What was learned stays, unless it moved to
    /// another address.
    pub(crate) fn announced_as(self: &Arc<Self>, node: Node) -> Arc<Self> {
        if self.node == node {
            return Arc::clone(self);
        }
        let (version, admission) = (Arc::clone(&self.version), self.admission());
        if self.node.address != node.address {
            return Self::admitted_by(admission, node, version);
        }
        let knowledge = Knowledge {
            first: Some(Arc::clone(Self::first(self))),
            ..Knowledge::default()
        };
        Self::known(node, version, knowledge)
    }

    fn known(node: Node, version: Arc<str>, knowledge: Knowledge) -> Arc<Self> {
        let weight = weight(&node.metadata);
        Arc::new(Self {
            knowledge,
            weight,
            node,
            version,
        })
    }

    /// The version of the service that this node serves; empty if unknown.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The share of the calls this node should get, relative to the others: metadata key
    /// [`WEIGHT`], a decimal `u32`. [`DEFAULT_WEIGHT`] when it is missing or not a number. Read by
    /// [`Weighted`](crate::Weighted) and [`RingHash`](crate::RingHash), which choose a node of weight 0 only when all are 0.
    #[must_use]
    pub fn weight(&self) -> u32 {
        self.weight
    }

    /// Whether it is not [`DEFAULT_WEIGHT`].
    pub(crate) fn is_weighted(&self) -> bool {
        self.weight != DEFAULT_WEIGHT
    }

    /// How many attempts of this client are under way at the node: the [`InFlight`] guards alive.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.knowledge().in_flight.load(Relaxed)
    }

    /// How busy it is: its attempts under way, each failure in a row as one more, and never more than twice as many. A
    /// node that is [out](Self::is_out) is busier than any that is not.
    ///
    /// Without the failures a node that stands still would seem idle just when its attempts time out. One that has none
    /// under way is idle, whatever it did: else nobody would ever see it do better.
    #[inline]
    pub(crate) fn load(&self) -> u64 {
        let Knowledge {
            in_flight, record, ..
        } = self.knowledge();
        let in_flight = in_flight.load(Relaxed);
        let load = u64::from(in_flight) + u64::from(record.failures().min(in_flight));
        match record.out() {
            0 => load,
            out => load | u64::from(self.must_wait(out)) << 40,
        }
    }

    /// Whether its last attempt that said anything failed, where that is counted.
    pub(crate) fn has_failed(&self) -> bool {
        self.record().failures() != 0
    }

    /// Whether the registry lists the node no more, at this address. Calls that have chosen it already go on.
    #[must_use]
    pub fn has_departed(&self) -> bool {
        self.knowledge().departed.load(Relaxed)
    }

    /// The node is listed no more, at this address: its connections are closed when their calls have ended. For selectors of your own;
    /// [`RegistrySelector`](crate::RegistrySelector) says so by itself.
    pub fn depart(&self) {
        self.knowledge().departed.store(true, Relaxed);
    }

    /// Counts an attempt as under way until the guard is dropped.
    pub fn begin(self: &Arc<Self>) -> InFlight {
        InFlight::at(Arc::clone(self))
    }

    /// Counts an attempt as under way until [`leave`](Self::leave), for whoever keeps the node anyway. Everybody else
    /// is better served by [`begin`](Self::begin), which cannot be forgotten.
    #[inline]
    pub fn enter(&self) {
        self.knowledge().in_flight.fetch_add(1, Relaxed);
    }

    /// The attempt of an [`enter`](Self::enter) is over.
    #[inline]
    pub fn leave(&self) {
        self.knowledge().in_flight.fetch_sub(1, Relaxed);
    }

    /// How an attempt at the node ended, for the [health](crate::health) that a selector keeps in the node itself.
    ///
    /// An attempt that began before the node went says nothing of it any more, and is better not told: see
    /// [`ejections`](Self::ejections).
    #[inline]
    pub fn mark(self: &Arc<Self>, mark: Mark<'_>) {
        if let Some(admission) = self.admission() {
            admission.mark(self, Evidence::of(mark));
        }
    }

    /// How long the node takes to answer, by now; `None` until it was measured.
    #[must_use]
    pub fn latency(&self) -> Option<Duration> {
        Latency::read(&self.record().latency).duration()
    }

    /// Whether somebody wants to know how long the node takes.
    #[must_use]
    pub fn is_measured(&self) -> bool {
        self.record().measured.load(Relaxed)
    }

    /// The node answered an attempt that began at `began`.
    pub fn answered(&self, began: Instant, now: Instant) {
        let took = now.saturating_duration_since(began);
        Latency::observe(&self.record().latency, took, clock::ticks(now));
    }

    /// An attempt that began at `began` failed, by the node's fault: it counts as four times what an answer
    /// usually takes, up to a second, if it did not take longer.
    pub fn fault(&self, began: Instant, now: Instant) {
        let took = now.saturating_duration_since(began);
        Latency::penalize(&self.record().latency, took, clock::ticks(now));
    }

    /// The head of a response has come: if the node was [out](crate::health), and this is its one attempt, a stream is as good as one that
    /// has ended well.
    #[inline]
    pub fn answers(&self) {
        self.record().answers();
    }

    /// How often the node went [out](crate::health) because of how it did, or stayed out, so far; past 65 535 it begins again. While it
    /// is what it was when an attempt began, the attempt says something of the node.
    ///
    /// ```
    /// use tower_micro_selector::{Candidate, Mark};
    ///
    /// let candidate = Candidate::at("10.0.0.1:1");
    /// let (attempt, before) = (candidate.begin(), candidate.ejections());
    /// // … it ends well
    /// drop(attempt);
    /// if candidate.ejections() == before {
    ///     candidate.mark(Mark::Success);
    /// }
    /// ```
    #[inline]
    #[must_use]
    pub fn ejections(&self) -> u16 {
        self.record().ejections.load(Relaxed)
    }

    pub(crate) fn smoothed(&self) -> Latency {
        Latency::read(&self.record().latency)
    }

    /// Asks for the latency to be measured from now on.
    pub(crate) fn measure(&self) {
        let measured = &self.record().measured;
        if !measured.load(Relaxed) {
            measured.store(true, Relaxed);
        }
    }

    /// Whether the node should not be used now, because of how it did: see [`health`](crate::health).
    ///
    /// A node whose time is over, and that waits for one attempt to prove itself, is not out.
    #[must_use]
    pub fn is_out(&self) -> bool {
        match self.record().out() {
            0 => false,
            out => self.must_wait(out),
        }
    }

    /// Whether it has gone because of how it did, and no attempt has done well since: how long it took before says nothing.
    pub(crate) fn is_on_trial(&self) -> bool {
        self.record().out() != 0
    }

    #[cold]
    fn must_wait(&self, out: u64) -> bool {
        let admission = self.admission();
        admission.is_none_or(|admission| !admission.is_over(out))
    }

    /// Until when the node is out, if it is.
    #[must_use]
    pub fn out_until(&self) -> Option<Instant> {
        let (out, admission) = (self.record().out(), self.admission()?);
        (out != 0).then(|| clock::instant(out, admission.time()))
    }

    pub(crate) fn record(&self) -> &Record {
        &self.knowledge().record
    }

    pub(crate) fn admission(&self) -> Option<&Arc<Admission>> {
        self.knowledge().admission.as_ref()
    }

    /// Who learns for this one.
    pub(crate) fn first(this: &Arc<Self>) -> &Arc<Self> {
        this.knowledge.first.as_ref().unwrap_or(this)
    }

    /// Whether both stand for the same node.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        std::ptr::eq(self.knowledge(), other.knowledge())
    }

    fn knowledge(&self) -> &Knowledge {
        match &self.knowledge.first {
            Some(first) => &first.knowledge,
            None => &self.knowledge,
        }
    }
}

impl Deref for Candidate {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

/// As its [`Node`] is written.
impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.node, f)
    }
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate")
            .field("node", &self.node)
            .field("version", &self.version)
            .field("in_flight", &self.in_flight())
            .field("latency", &self.latency())
            .field("out_until", &self.out_until())
            .finish_non_exhaustive()
    }
}

fn weight(metadata: &Metadata) -> u32 {
    metadata
        .get(WEIGHT)
        .and_then(|text| text.parse().ok())
        .unwrap_or(DEFAULT_WEIGHT)
}
