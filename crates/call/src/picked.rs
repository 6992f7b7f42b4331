//! A node that an attempt went to, until the selector was told how it did: go-micro's `Mark`.

use std::sync::Arc;

use tokio::time::Instant;
use tower_micro_registry::ServiceName;
use tower_micro_selector::{Candidate, InFlight, Mark, Selector};

use crate::{Deadline, Dialect, End, Error, Kind};

/// One attempt at one node. It counts as in flight, and the node is marked exactly once: with how the attempt ended, or, when this is
/// dropped first, as timed out or cancelled.
#[derive(Debug)]
pub struct Picked {
    node: Arc<Candidate>,
    _in_flight: InFlight,
    service: ServiceName,
    /// Whom to tell; `None` once it was told, or if nobody wants to know.
    selector: Option<Arc<dyn Selector>>,
    deadline: Option<Deadline>,
    dialect: Dialect,
}

impl Picked {
    /// Begins an attempt at `node` of `service`; `selector` is told how it ends.
    pub fn begin(
        node: Arc<Candidate>,
        service: ServiceName,
        selector: Option<Arc<dyn Selector>>,
    ) -> Self {
        Self {
            _in_flight: node.begin(),
            node,
            service,
            selector,
            deadline: None,
            dialect: Dialect::default(),
        }
    }

    /// Adds when the call ends, and in whose words that is told.
    #[must_use]
    pub fn until(mut self, deadline: Option<Deadline>, dialect: Dialect) -> Self {
        self.deadline = deadline;
        self.dialect = dialect;
        self
    }

    /// The node.
    pub const fn node(&self) -> &Arc<Candidate> {
        &self.node
    }

    /// Whether the call's time is up.
    pub fn is_overdue(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| deadline.has_passed(Instant::now()))
    }

    /// Adds to an error what is known of the attempt.
    pub fn explain(&self, error: Error) -> Error {
        error.with_service(&self.service).with_node(&self.node)
    }

    /// The attempt has ended.
    pub fn end(mut self, end: End<'_>) {
        match end {
            End::Ok => self.mark(Mark::Success),
            End::Failed(error) => self.mark(match error.kind() {
                Kind::AttemptTimeout | Kind::Deadline => Mark::TimedOut,
                _ => Mark::Failure(error),
            }),
            End::Dropped => self.abandon(),
        }
    }

    /// The attempt has ended with `error`, or, if the time is up, with that: the transport keeps the time too, and may have been first.
    pub fn fail(self, error: Error) -> Error {
        if error.kind() == Kind::AttemptTimeout && self.is_overdue() {
            return self.time_out();
        }
        let error = self.explain(error);
        self.end(End::Failed(&error));
        error
    }

    /// Ends the attempt because the call's time is up.
    pub fn time_out(mut self) -> Error {
        self.mark(Mark::TimedOut);
        let timeout = self.deadline.map(|deadline| deadline.timeout());
        self.explain(Error::deadline(timeout.unwrap_or_default(), self.dialect))
    }

    fn abandon(&mut self) {
        let overdue = self.is_overdue();
        self.mark(if overdue {
            Mark::TimedOut
        } else {
            Mark::Cancelled
        });
    }

    fn mark(&mut self, mark: Mark<'_>) {
        if let Some(selector) = self.selector.take() {
            selector.mark(&self.service, &self.node, mark);
        }
    }
}

impl Drop for Picked {
    fn drop(&mut self) {
        if self.selector.is_some() {
            self.abandon();
        }
    }
}
