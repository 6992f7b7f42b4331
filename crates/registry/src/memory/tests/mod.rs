mod changes;
mod expiry;
mod truth;
mod watchers;

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use tokio::time::{advance, sleep, timeout};

use super::topic::LONGEST_LOG;
use super::*;
use crate::{Change, Endpoint};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

fn name() -> ServiceName {
    ServiceName::new("greeter").unwrap()
}

fn greeter(version: &str, ids: &[&str]) -> Service {
    let service = Service::new("greeter", version);
    ids.iter().fold(service, |service, id| {
        service.with_node(Node::new(*id, "127.0.0.1:5001"))
    })
}

fn seconds(ttl: u64) -> RegisterOptions {
    RegisterOptions::default().ttl(SECOND * ttl as u32)
}

async fn register(memory: &Memory, service: &Service) {
    memory
        .register(service, RegisterOptions::default())
        .await
        .unwrap();
}

async fn register_for(memory: &Memory, service: &Service, ttl: u64) {
    memory.register(service, seconds(ttl)).await.unwrap();
}

async fn watch(memory: &Memory) -> Changes {
    memory.watch(&name()).await.unwrap()
}

/// A watch that has read its first set.
async fn settled(memory: &Memory) -> Changes {
    let mut changes = watch(memory).await;
    assert!(matches!(next(&mut changes).await, Change::Reset(_)));
    changes
}

async fn next(changes: &mut Changes) -> Change {
    let change = timeout(DAY, changes.next())
        .await
        .expect("a change within a day");
    change.unwrap().unwrap()
}

fn is_quiet(changes: &mut Changes) -> bool {
    changes.next().now_or_never().is_none()
}

async fn set(memory: &Memory) -> Vec<Service> {
    match next(&mut watch(memory).await).await {
        Change::Reset(set) => set,
        other => panic!("a watch began with {other:?}"),
    }
}
