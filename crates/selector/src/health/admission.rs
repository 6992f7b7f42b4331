use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::record::PROBING;
use super::{Evidence, Outlier};
use crate::Candidate;
use crate::clock::{self, Clock, Instant};

/// An attempt that was let through to a node that is out, and has not ended for so long, makes place for another: somebody asked for a node
/// and did not use it. If it has begun to answer it is a stream, and does well.
const PATIENCE: Duration = Duration::from_secs(10);

/// For so long a node must do well before it counts as having gone once less.
const PAROLE: Duration = Duration::from_secs(10);

/// What share of its calls a new node gets at the very start (as Envoy's `min_weight_percent`).
const LEAST: f64 = 0.1;

/// Set in [`Admission::attention`] while there may be nodes that are warming up.
const WARMING: u32 = 1 << 31;

/// Who of the nodes of one service may be used now.
pub(crate) struct Admission {
    outlier: Option<Outlier>,
    slow_start: Duration,
    clock: Arc<dyn Clock>,
    /// How many nodes are out, and [`WARMING`]. While it is 0, whoever is chosen is admitted.
    attention: AtomicU32,
    warm_until: AtomicU64,
    /// Whether the nodes were counted: those who come later are new.
    is_open: AtomicBool,
    ledger: Mutex<Ledger>,
}

/// Who is out, in the order in which they went; and of how many.
#[derive(Debug, Default)]
struct Ledger {
    members: usize,
    out: Vec<Weak<Candidate>>,
}

/// Whether a node that was chosen may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admitted {
    Yes,
    /// It is not its turn yet, since it is new.
    NotYet,
    No,
}

impl Admission {
    /// `None` if nobody asks for it.
    pub(crate) fn new(
        outlier: Option<Outlier>,
        slow_start: Duration,
        clock: &Arc<dyn Clock>,
    ) -> Option<Arc<Self>> {
        if outlier.is_none() && slow_start.is_zero() {
            return None;
        }
        Some(Arc::new(Self {
            outlier,
            slow_start,
            clock: Arc::clone(clock),
            attention: AtomicU32::new(0),
            warm_until: AtomicU64::new(0),
            is_open: AtomicBool::new(false),
            ledger: Mutex::default(),
        }))
    }

    /// Whether there is anything to ask.
    pub(crate) fn is_attentive(&self) -> bool {
        self.attention.load(Relaxed) != 0
    }

    /// Whether nodes go when they fail, and none has.
    pub(crate) fn finds_all_well(&self) -> bool {
        self.outlier.is_some() && !self.is_attentive()
    }

    pub(crate) fn time(&self) -> Instant {
        self.clock.now()
    }

    fn now(&self) -> u64 {
        clock::ticks(self.time())
    }

    /// Whether the time of a node with this [`Record::out`](super::Record::out), which is not 0, is over.
    pub(crate) fn is_over(&self, out: u64) -> bool {
        out <= self.now()
    }

    /// Whether `candidate`, which was chosen, may be used. One that was out gets one attempt when its time is
    /// over: whoever is told yes has it. One that is new gets the calls whose `die`, from 0 to 1, is below its
    /// [share](Self::share).
    pub(crate) fn admits(&self, candidate: &Arc<Candidate>, die: f64) -> Admitted {
        let record = candidate.record();
        let out = record.out();
        if out != 0 {
            return self.admits_out(candidate, out);
        }
        match record.warming.load(Relaxed) {
            0 => {
                if self.attention.load(Relaxed) & WARMING != 0 {
                    self.cool_down(self.now()); // whoever was new may have gone
                }
                Admitted::Yes
            }
            since => self.admits_new(candidate, since, die),
        }
    }

    fn admits_out(&self, candidate: &Arc<Candidate>, out: u64) -> Admitted {
        let (record, now) = (candidate.record(), self.now());
        if out > now {
            return Admitted::No;
        }
        if out & PROBING != 0 && record.is_answering() {
            self.readmit(candidate);
            return Admitted::Yes;
        }
        let lost = (now + clock::length(PATIENCE)) | PROBING;
        match record.out.compare_exchange(out, lost, Relaxed, Relaxed) {
            Ok(_) => Admitted::Yes,
            Err(_) => Admitted::No,
        }
    }

    fn admits_new(&self, candidate: &Candidate, since: u64, die: f64) -> Admitted {
        let now = self.now();
        let share = self.share_after(now.saturating_sub(since));
        if share >= 1.0 {
            candidate.record().warming.store(0, Relaxed);
            self.cool_down(now);
            return Admitted::Yes;
        }
        if die < share {
            Admitted::Yes
        } else {
            Admitted::NotYet
        }
    }

    /// What share of its calls a node gets: 1, unless it is new, or back.
    pub(crate) fn share(&self, candidate: &Candidate) -> f64 {
        match candidate.record().warming.load(Relaxed) {
            0 => 1.0,
            since => self.share_after(self.now().saturating_sub(since)),
        }
    }

    fn share_after(&self, age: u64) -> f64 {
        let whole = clock::length(self.slow_start).max(1);
        (age as f64 / whole as f64).clamp(LEAST, 1.0)
    }

    /// A node was announced that was not there before.
    pub(crate) fn welcome(&self, candidate: &Candidate) {
        if self.is_open.load(Relaxed) {
            self.warm_up(candidate);
        }
    }

    /// A node is new, or back: it gets its share little by little.
    fn warm_up(&self, candidate: &Candidate) {
        if !self.slow_start.is_zero() {
            let now = self.now();
            candidate.record().warming.store(now, Relaxed);
            self.warm_until
                .fetch_max(now + clock::length(self.slow_start), Relaxed);
            self.attention.fetch_or(WARMING, Relaxed);
        }
    }

    fn cool_down(&self, now: u64) {
        if self.warm_until.load(Relaxed) <= now {
            self.attention.fetch_and(!WARMING, Relaxed);
        }
    }

    /// Hears how an attempt at `candidate` ended.
    pub(crate) fn mark(&self, candidate: &Arc<Candidate>, evidence: Evidence) {
        let Some(outlier) = &self.outlier else {
            return;
        };
        let record = candidate.record();
        let out = record.out();
        match (out, evidence) {
            (0, Evidence::Well) => record.well(outlier, || self.now()),
            (0, Evidence::Ill) => {
                if record.ill(outlier, self.now()) && self.has_room(outlier) {
                    self.eject(outlier, candidate);
                }
            }
            // None of the attempts under way is the one that decides.
            _ if out & PROBING == 0 => {}
            (_, Evidence::Well) => self.readmit(candidate),
            (_, Evidence::Ill) => self.prolong(outlier, candidate),
            // A stream that was let go of, or whose time was up.
            (_, Evidence::Nothing) if record.is_answering() => self.readmit(candidate),
            // Its one attempt came to nothing: the next one may be it.
            (_, Evidence::Nothing) => {
                let _ = record
                    .out
                    .compare_exchange(out, self.now(), Relaxed, Relaxed);
            }
        }
    }

    /// Looks before it locks: while most nodes fail, every failure comes here.
    fn has_room(&self, outlier: &Outlier) -> bool {
        let out = self.attention.load(Relaxed) & !WARMING;
        out == 0 || self.ledger().has_room(outlier)
    }

    fn eject(&self, outlier: &Outlier, candidate: &Arc<Candidate>) {
        let mut ledger = self.ledger();
        let record = candidate.record();
        // Nobody would bring back one that the registry lists no more.
        if record.out() != 0 || candidate.has_departed() || !ledger.has_room(outlier) {
            return;
        }
        let now = self.now();
        let served = now.saturating_sub(record.back.load(Relaxed)) / clock::length(PAROLE);
        let level = record
            .level
            .load(Relaxed)
            .saturating_sub(u32::try_from(served).unwrap_or(u32::MAX));
        record.level.store(level, Relaxed);
        ledger.out.push(Arc::downgrade(Candidate::first(candidate)));
        self.count(&ledger);
        self.stay_out(outlier, candidate, now);
    }

    /// Its one attempt failed.
    fn prolong(&self, outlier: &Outlier, candidate: &Arc<Candidate>) {
        let _ledger = self.ledger();
        if candidate.record().out() & PROBING != 0 {
            self.stay_out(outlier, candidate, self.now());
        }
    }

    fn stay_out(&self, outlier: &Outlier, candidate: &Candidate, now: u64) {
        let record = candidate.record();
        let level = record.level.load(Relaxed).saturating_add(1);
        record.level.store(level, Relaxed);
        record.answering.store(false, Relaxed);
        record.ejections.fetch_add(1, Relaxed);
        record.out.store(
            now + (clock::length(outlier.time_out(level)) & !PROBING),
            Relaxed,
        );
    }

    fn readmit(&self, candidate: &Arc<Candidate>) {
        let mut ledger = self.ledger();
        let first = Candidate::first(candidate);
        ledger
            .out
            .retain(|other| !std::ptr::eq(other.as_ptr(), Arc::as_ptr(first)));
        self.bring_back(candidate);
        self.count(&ledger);
    }

    fn bring_back(&self, candidate: &Candidate) {
        let record = candidate.record();
        record.forgive();
        record.back.store(self.now(), Relaxed);
        record.out.store(0, Relaxed);
        self.warm_up(candidate);
    }

    /// The service has so many nodes now. Those who are out and not among them are forgotten; and if more are
    /// out than may be, those who went first come back.
    pub(crate) fn count_members(&self, members: usize, is_member: impl Fn(&Candidate) -> bool) {
        let mut ledger = self.ledger();
        ledger.members = members;
        self.is_open.store(true, Relaxed);
        if ledger.out.is_empty() {
            return;
        }
        ledger
            .out
            .retain(|out| out.upgrade().is_some_and(|candidate| is_member(&candidate)));
        let limit = self
            .outlier
            .as_ref()
            .map_or(0, |outlier| outlier.limit(members));
        let surplus = ledger.out.len().saturating_sub(limit);
        for candidate in ledger.out.drain(..surplus).filter_map(|out| out.upgrade()) {
            self.bring_back(&candidate);
        }
        self.count(&ledger);
    }

    fn count(&self, ledger: &Ledger) {
        let out = u32::try_from(ledger.out.len()).unwrap_or(u32::MAX) & !WARMING;
        let _ = self
            .attention
            .fetch_update(Relaxed, Relaxed, |word| Some(word & WARMING | out));
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    fn has_room(&self, outlier: &Outlier) -> bool {
        self.out.len() < outlier.limit(self.members)
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("outlier", &self.outlier)
            .field("slow_start", &self.slow_start)
            .field("out", &(self.attention.load(Relaxed) & !WARMING))
            .finish_non_exhaustive()
    }
}
