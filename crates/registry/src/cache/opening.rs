//! One try to open a watch and to read the set it begins with.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::timeout;

use super::compare;
use crate::{Change, Changes, Error, Registry, Service, ServiceName, change::gather};

/// A watch, and the set it began with.
pub(super) struct Opened {
    pub(super) set: Vec<Service>,
    pub(super) changes: Changes,
    /// Whether the set was without a node twice in a row.
    pub(super) is_confirmed: bool,
}

/// What to make of a set without a node.
#[derive(Clone, Copy)]
pub(super) enum Empty {
    Believe,
    /// Nodes were known until now: look a second time.
    Confirm,
}

#[derive(Debug, thiserror::Error)]
#[error("the watch of {service} gave no first set within {limit:?}")]
struct NoAnswer {
    service: ServiceName,
    limit: Duration,
}

#[derive(Debug, thiserror::Error)]
#[error("the watch of {service} did not begin with the whole set")]
struct NoReset {
    service: ServiceName,
}

/// Each look has `limit`.
pub(super) async fn open(
    registry: Arc<dyn Registry>,
    service: ServiceName,
    empty: Empty,
    limit: Duration,
) -> Result<Opened, Error> {
    let opened = look(&*registry, &service, limit).await?;
    match empty {
        Empty::Confirm if compare::nodes(&opened.set) == 0 => Ok(Opened {
            is_confirmed: true,
            ..look(&*registry, &service, limit).await?
        }),
        _ => Ok(opened),
    }
}

async fn look(
    registry: &dyn Registry,
    service: &ServiceName,
    limit: Duration,
) -> Result<Opened, Error> {
    let read = timeout(limit, begin(registry, service)).await;
    read.unwrap_or_else(|_| {
        let service = service.clone();
        let hung = NoAnswer { service, limit };
        Err(Error::unavailable(registry.name(), hung))
    })
}

async fn begin(registry: &dyn Registry, service: &ServiceName) -> Result<Opened, Error> {
    let mut changes = registry.watch(service).await?;
    match changes.next().await {
        Some(Ok(Change::Reset(set))) => Ok(Opened {
            set: gather(set),
            changes,
            is_confirmed: false,
        }),
        Some(Ok(_)) => Err(Error::unavailable(
            registry.name(),
            NoReset {
                service: service.clone(),
            },
        )),
        Some(Err(error)) => Err(error),
        None => Err(ended(registry, service)),
    }
}

pub(super) fn ended(registry: &dyn Registry, service: &ServiceName) -> Error {
    Error::WatchEnded {
        registry: registry.name().to_owned(),
        service: service.clone(),
    }
}
