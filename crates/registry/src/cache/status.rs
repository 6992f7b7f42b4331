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
    /// Whether the last set that was confirmed had nodes, by this watch or one before it.
    had_nodes: bool,
    confirmed: Instant,
    error: Option<Error>,
    services: usize,
    nodes: usize,
}

impl Report {
    /// That of a service which is watched from now on.
    fn new(watches: usize, had_nodes: bool) -> Self {
        Self {
            watches,
            had_nodes,
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
        let reports = self.lock();
        let report = reports.get(service).filter(|report| report.watches > 0)?;
        Some(report.status())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ServiceName, Report>> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports for one watch. When the last watch of a service is dropped, all that stays is whether it had nodes.
#[derive(Debug)]
pub(super) struct Reporter {
    board: Board,
    service: ServiceName,
}

impl Reporter {
    pub(super) fn new(board: Board, service: ServiceName) -> Self {
        let mut reports = board.lock();
        let report = reports
            .entry(service.clone())
            .or_insert_with(|| Report::new(0, false));
        if report.watches == 0 {
            *report = Report::new(0, report.had_nodes);
        }
        report.watches += 1;
        drop(reports);
        Self { board, service }
    }

    /// Whether the service had nodes when a watch last heard of it.
    pub(super) fn had_nodes(&self) -> bool {
        let reports = self.board.lock();
        let report = reports.get(&self.service);
        report.is_some_and(|report| report.had_nodes)
    }

    pub(super) fn confirm(&self, set: &[Service]) {
        let (services, nodes) = (set.len(), compare::nodes(set));
        self.write(|report| {
            *report = Report {
                services,
                nodes,
                ..Report::new(report.watches, nodes > 0)
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
            if report.watches == 0 && !report.had_nodes {
                reports.remove(&self.service);
            }
        }
    }
}
