mod doubt;
mod failure;
mod resync;
mod scripted;
mod status;
#[cfg(feature = "memory")]
mod truth;

use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::{Instant, timeout};

use self::scripted::Watch::{Fail, Hang, Open};
use self::scripted::{Act, Scripted};
use super::*;
use crate::{Change, Node};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

fn name() -> ServiceName {
    ServiceName::new("greeter").unwrap()
}

fn greeter(ids: &[&str]) -> Service {
    let service = Service::new("greeter", "latest");
    ids.iter().fold(service, |service, id| {
        service.with_node(Node::new(*id, "127.0.0.1:5001"))
    })
}

fn reset(ids: &[&str]) -> Change {
    Change::Reset(vec![greeter(ids)])
}

fn nothing() -> Change {
    Change::Reset(vec![])
}

fn put(id: &str) -> Change {
    Change::Put(greeter(&[id]))
}

fn delete(id: &str) -> Change {
    Change::Delete(greeter(&[id]))
}

/// Says these and is silent then.
fn says<const N: usize>(changes: [Change; N]) -> scripted::Watch {
    Open(changes.into_iter().map(Act::Say).collect())
}

/// Says this, and that much later ends.
fn ends_after(change: Change, time: Duration) -> scripted::Watch {
    Open(vec![Act::Say(change), Act::Wait(time), Act::End])
}

fn cache(registry: &Scripted) -> Cache {
    Cache::new(registry.clone())
}

fn without_resync(registry: &Scripted) -> Cache {
    Cache::with_options(
        registry.clone(),
        CacheOptions::default().resync(Duration::ZERO),
    )
}

async fn watch(cache: &Cache) -> Changes {
    cache.watch(&name()).await.unwrap()
}

async fn next(changes: &mut Changes) -> Result<Change, Error> {
    let item = timeout(DAY, changes.next())
        .await
        .expect("something within a day");
    item.expect("a watch of a cache never ends")
}

async fn change(changes: &mut Changes) -> Change {
    next(changes).await.expect("no failure")
}

/// The failure that comes next, with its cause.
async fn failure(changes: &mut Changes) -> String {
    let error = next(changes).await.expect_err("a failure");
    match std::error::Error::source(&error) {
        Some(cause) => cause.to_string(),
        None => error.to_string(),
    }
}

async fn is_silent_for(changes: &mut Changes, time: Duration) -> bool {
    timeout(time, changes.next()).await.is_err()
}

/// The times between the calls of `watch`, in milliseconds.
fn waits(registry: &Scripted) -> Vec<u64> {
    let watched = registry.watched();
    watched
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_millis() as u64)
        .collect()
}

fn within(wait: u64, around: u64, percent: u64) -> bool {
    wait.abs_diff(around) <= around * percent / 100 + 1
}

#[tokio::test(start_paused = true)]
async fn changes_are_passed_on_as_they_come() {
    let registry = Scripted::new([says([reset(&["a"]), put("b"), delete("a"), reset(&["c"])])]);
    let mut changes = watch(&without_resync(&registry)).await;
    for expected in [reset(&["a"]), put("b"), delete("a"), reset(&["c"])] {
        assert_eq!(change(&mut changes).await, expected);
    }
    assert!(is_silent_for(&mut changes, SECOND * 1000).await);
}

#[cfg(feature = "memory")]
#[tokio::test(start_paused = true)]
async fn everything_but_the_watch_is_asked_of_the_registry() {
    let registry: Arc<dyn Registry> = Arc::new(crate::Memory::new());
    let cache: Arc<dyn Registry> = Arc::new(Cache::new(registry.clone()));
    cache
        .register(&greeter(&["a", "b"]), RegisterOptions::default())
        .await
        .unwrap();
    cache.deregister(&greeter(&["a"])).await.unwrap();
    assert_eq!(cache.services().await.unwrap(), [name()]);
    assert_eq!(cache.name(), "memory");
    let mut changes = registry.watch(&name()).await.unwrap();
    assert_eq!(change(&mut changes).await, reset(&["b"]));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_watch_leaves_nothing() {
    let registry = Scripted::new([says([reset(&["a"])]), Hang]);
    let cache = Cache::with_options(
        registry.clone(),
        CacheOptions::default().timeout(SECOND * 100),
    );
    let mut changes = watch(&cache).await;
    change(&mut changes).await;
    assert!(is_silent_for(&mut changes, SECOND * 68).await);
    assert_eq!(
        (registry.watched().len(), registry.open()),
        (2, 1),
        "it opens while it reads"
    );
    drop(changes);
    assert_eq!(registry.open(), 0);
    assert!(cache.status(&name()).is_none());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_before_the_watch_is_read() {
    let registry = Scripted::new([]);
    let _changes = watch(&cache(&registry)).await;
    tokio::time::sleep(SECOND * 1000).await;
    assert_eq!(registry.watched(), []);
}
