//! What the watches of a cache report of themselves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::compare;
use crate::{Error, Service, ServiceName};

/// What a [`Cache`](super::Cache) knows of a service it watches.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// How long ago the registry last confirmed the set, by a change or a resync; if it never did, how long
    /// it has been watched.
    pub age: Duration,
    /// Why the set may be out of date; none if the last word of the registry was a good one.
    pub error: Option<Error>,
    /// How many versions the set has.
    pub services: usize,
    /// How many nodes they have in all.
    pub nodes: usize,
}

/// All reports, by service.
#[derive(Clone, Debug, Default)]
pub(super) struct Board {
    reports: Arc<Mutex<HashMap<ServiceName, Report>>>,
}

#[derive(Debug)]
struct Report {
    watches: usize,
    confirmed: Instant,
    error: Option<Error>,
    services: usize,
    nodes: usize,
}

impl Report {
    fn new() -> Self {
        Self {
            watches: 0,
            confirmed: Instant::now(),
            error: None,
            services: 0,
            nodes: 0,
        }
    }

    fn status(&self) -> Status {
        Status {
            age: self.confirmed.elapsed(),
            error: self.error.clone(),
            services: self.services,
            nodes: self.nodes,
        }
    }
}

impl Board {
    pub(super) fn read(&self, service: &ServiceName) -> Option<Status> {
        self.lock().get(service).map(Report::status)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ServiceName, Report>> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports for one watch; when the last watch of a service is dropped, its report goes.
#[derive(Debug)]
pub(super) struct Reporter {
    board: Board,
    service: ServiceName,
}

impl Reporter {
    pub(super) fn new(board: Board, service: ServiceName) -> Self {
        board
            .lock()
            .entry(service.clone())
            .or_insert_with(Report::new)
            .watches += 1;
        Self { board, service }
    }

    pub(super) fn confirm(&self, set: &[Service]) {
        let (services, nodes) = (set.len(), compare::nodes(set));
        self.write(|report| {
            *report = Report {
                watches: report.watches,
                services,
                nodes,
                ..Report::new()
            };
        });
    }

    pub(super) fn fail(&self, error: &Error) {
        self.write(|report| report.error = Some(error.clone()));
    }

    fn write(&self, change: impl FnOnce(&mut Report)) {
        if let Some(report) = self.board.lock().get_mut(&self.service) {
            change(report);
        }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        let mut reports = self.board.lock();
        if let Some(report) = reports.get_mut(&self.service) {
            report.watches -= 1;
            if report.watches == 0 {
                reports.remove(&self.service);
            }
        }
    }
}
