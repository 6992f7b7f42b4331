//! A node that an attempt went to, until the selector was told how it did: go-micro's `Mark`.

mod fault;

use std::sync::Arc;

use tokio::time::Instant;
use tonic::Code;
use tower_micro_selector::{Candidate, Chosen, Fault, Mark, Selector};

use crate::{Common, End, Ended, Error, Kind, Notes};

/// Who is told how a node did.
#[derive(Clone, Debug, Default)]
pub enum Marking {
    /// Nobody.
    #[default]
    Nobody,
    /// The node alone: [`Selector::marks_only_the_node`].
    Node,
    /// A selector.
    Selector(Arc<dyn Selector>),
}

impl From<Arc<dyn Selector>> for Marking {
    fn from(selector: Arc<dyn Selector>) -> Self {
        if selector.marks_only_the_node() {
            Self::Node
        } else {
            Self::Selector(selector)
        }
    }
}

/// An attempt at a node, counted as in flight until it ends. Dropped without an end, the node is marked as timed out or cancelled.
#[derive(Debug)]
pub struct Picked {
    common: Common,
    node: Chosen,
    marking: Marking,
    /// Those of the node when the attempt began.
    ejections: u16,
    // Two flags, of which one at a time counts: as one word of three they cost each call nine instructions.
    is_told: bool,
    /// Whether the head of a response has come.
    is_answering: bool,
    /// Until the node has answered, if somebody wants to know how long that takes.
    began: Option<Instant>,
    /// Which attempt it is, if it is told when its wrappers have run their inside.
    wrapped: Option<u32>,
}

impl Picked {
    /// An attempt at the node of `notes` begins; `None` if they name none.
    #[inline]
    pub fn begin(notes: &Notes, marking: &Marking) -> Option<Self> {
        let node = notes.chosen()?.clone();
        let chosen = notes.node()?;
        chosen.enter();
        let ejections = chosen.ejections();
        let began = chosen.is_measured().then(|| notes.now());
        Some(Self {
            common: notes.common().clone(),
            node,
            marking: marking.clone(),
            ejections,
            is_told: false,
            is_answering: false,
            began,
            wrapped: None,
        })
    }

    /// The wrappers around `attempt` may wait before they run their inside, of which the notes [tell](Common::come_inside): until then a
    /// node is not at fault for the time that passes.
    #[must_use]
    pub const fn within_wrappers(mut self, attempt: u32) -> Self {
        self.wrapped = Some(attempt);
        self
    }

    /// The node.
    #[inline]
    pub fn node(&self) -> &Arc<Candidate> {
        let node = self.node.node(self.common.picker());
        node.expect("it was there when it was chosen, and nothing of it changes")
    }

    /// The head of a response has come: so long the node takes to answer. A stream may go on for as long as it likes.
    #[inline]
    pub fn answered(&mut self) {
        self.is_answering = true;
        let began = self.began.take();
        if !self.is_of_now() {
            return;
        }
        self.node().answers();
        if let Some(began) = began {
            let now = Instant::now().into_std();
            self.node().answered(began.into_std(), now);
        }
    }

    /// Whether the call's time is up.
    #[inline]
    pub fn is_overdue(&self) -> bool {
        let deadline = self.common.deadline();
        deadline.is_some_and(|deadline| deadline.has_passed(Instant::now()))
    }

    /// Adds to an error what is known of the attempt.
    #[inline]
    pub fn explain(&self, error: Error) -> Error {
        self.common.explain(error).with_node(self.node())
    }

    /// The attempt has ended; nothing happens if it had before.
    #[inline]
    pub fn end(&mut self, end: End<'_>) {
        if self.is_told {
            return;
        }
        match end {
            End::Ok => self.mark(Mark::Success),
            End::Failed(error) => self.mark(match error.kind() {
                Kind::AttemptTimeout | Kind::Deadline => Mark::TimedOut(self.fault_of_time()),
                _ => Mark::Failure(error, self.fault_of(error)),
            }),
            End::Dropped => self.abandon(),
        }
    }

    /// The attempt has ended with `error`, or, if the time is up, with that: the transport and the node keep the time too, and may have
    /// been first.
    pub fn fail(mut self, error: Error) -> Error {
        if error.kind() == Kind::AttemptTimeout && self.is_overdue() {
            return self.time_out();
        }
        match error.of_attempt() {
            Ok(error) if error.is_cancelled_by_node() && self.is_overdue() => self.time_out(),
            Ok(error) => {
                let error = self.explain(error);
                self.end(End::Failed(&error));
                error
            }
            Err(error) => {
                let error = self.explain(error);
                self.mark(Mark::Failure(&error, Fault::Unknown));
                error
            }
        }
    }

    /// Ends the attempt because the call's time is up.
    pub fn time_out(mut self) -> Error {
        self.mark(Mark::TimedOut(self.fault_of_time()));
        let timeout = self.common.deadline().map(|deadline| deadline.timeout());
        let dialect = self.common.dialect();
        self.explain(Error::deadline(timeout.unwrap_or_default(), dialect))
    }

    fn abandon(&mut self) {
        let overdue = self.is_overdue();
        self.mark(if overdue {
            Mark::TimedOut(self.fault_of_time())
        } else {
            Mark::Cancelled
        });
    }

    #[inline]
    fn mark(&mut self, mark: Mark<'_>) {
        self.is_told = true;
        if let (Mark::TimedOut(Fault::Node) | Mark::Failure(_, Fault::Node), Some(began)) =
            (mark, self.began)
            && self.is_of_now()
        {
            let now = Instant::now().into_std();
            self.node().fault(began.into_std(), now);
        }
        // First, for whoever is told may panic.
        self.node().leave();
        self.tell(mark);
    }

    /// Whether the node has not gone, or stayed out, since the attempt began.
    #[inline]
    fn is_of_now(&self) -> bool {
        self.node().ejections() == self.ejections
    }

    /// A node that has begun to answer in time does not hang: what is not over when the time is, is most often a stream. One that was not
    /// asked yet does not either.
    fn fault_of_time(&self) -> Fault {
        let is_asked = |attempt| self.common.is_inside(attempt);
        if self.is_answering || !self.wrapped.is_none_or(is_asked) {
            Fault::Unknown
        } else {
            Fault::Node
        }
    }

    /// Who is to blame for `error`. Whoever says that time is up: a node that has begun to answer does not hang.
    fn fault_of(&self, error: &Error) -> Fault {
        match error.code() {
            Code::DeadlineExceeded if self.is_answering => Fault::Unknown,
            _ => fault::of(error),
        }
    }

    #[inline]
    fn tell(&self, mark: Mark<'_>) {
        match (&self.marking, self.common.service()) {
            (Marking::Node, _) if self.is_of_now() => self.node().mark(mark),
            (Marking::Selector(selector), Some(service)) => {
                selector.mark(service, self.node(), mark);
            }
            _ => {}
        }
    }
}

impl Ended for Picked {
    fn ended(mut self: Box<Self>, end: End<'_>) {
        self.end(end);
    }
}

impl Drop for Picked {
    #[inline]
    fn drop(&mut self) {
        if !self.is_told {
            self.abandon();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use tokio::task::JoinSet;
    use tower_micro_registry::{BoxFuture, Static};
    use tower_micro_selector::{
        Outlier, PeakEwma, RegistrySelector, SelectOptions, SpawnError, TaskGuard,
    };

    use super::*;

    fn spawn(task: BoxFuture<'static, ()>) -> Result<TaskGuard, SpawnError> {
        let mut tasks = JoinSet::new();
        tasks.spawn(task);
        Ok(Box::new(tasks))
    }

    /// One of two nodes whose latency is of interest, and which go when they fail.
    async fn measured() -> Arc<Candidate> {
        let registry = Static::addresses("greeter", ["a:1", "b:1"]).unwrap();
        let selector = RegistrySelector::new(Arc::new(registry), spawn)
            .with_strategy(Arc::new(PeakEwma))
            .with_health(Outlier::default().into());
        let greeter = "greeter".parse().unwrap();
        let picker = selector.select(&greeter, &SelectOptions::default());
        picker.await.unwrap().next().unwrap()
    }

    #[tokio::test]
    async fn what_began_before_a_node_went_does_not_say_how_long_it_takes() {
        let node = measured().await;
        let mut notes = Notes::default();
        notes.set_node(Arc::clone(&node));
        let begin = || Picked::begin(&notes, &Marking::Node).unwrap();
        let attempts = [begin(), begin()];
        for _ in 0..5 {
            node.mark(Mark::Failure(&fmt::Error, Fault::Node));
        }
        assert!(node.is_out());
        let [mut answers, fails] = attempts;
        answers.answered();
        answers.end(End::Ok);
        fails.fail(Error::new(Kind::Connect, Code::Unavailable, "refused"));
        assert_eq!(node.latency(), None);
        begin().answered();
        assert!(node.latency().is_some(), "it is measured");
    }
}
