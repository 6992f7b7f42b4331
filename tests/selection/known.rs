//! What the registry says: nodes come and go, and so does the registry.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::{StreamExt, future, stream};
use tokio::{runtime::Builder, sync::Notify, task::yield_now, time::sleep};
use tonic::{Code, Status};
use tower_micro::{
    Cache, CacheOptions, CallOptions, Change, Client, Memory, RegisterOptions, Registry, Service,
    ServiceName,
    crates::client::BuildError,
    crates::registry::{BoxFuture, Changes, Error},
};
use tower_micro_testkit::proto::greeter::greeter_client::GreeterClient;

use super::{At, ask, node, nodes_of, on, reached};
use crate::support::{hello, soon};

/// Asks until the answer is as it shall be.
async fn until(
    client: &Client,
    options: CallOptions,
    is_so: impl Fn(Result<String, Status>) -> bool,
) {
    soon(async {
        while !is_so(ask(client, options.clone()).await) {
            yield_now().await;
        }
    })
    .await;
}

pub(super) async fn registered(registry: &Memory, service: Service) {
    let options = RegisterOptions::default();
    registry.register(&service, options).await.unwrap();
}

#[tokio::test]
async fn nodes_that_come_are_called_and_nodes_that_go_are_not() {
    let registry = Memory::new();
    registered(&registry, on(["a"])).await;
    let client = nodes_of(registry.clone()).build().unwrap();
    assert_eq!(ask(&client, CallOptions::new()).await.unwrap(), "a");

    registered(&registry, on(["b"])).await;
    until(&client, CallOptions::new(), |answer| answer.unwrap() == "b").await;

    registry.deregister(&on(["a"])).await.unwrap();
    let first = CallOptions::new().strategy(At(0));
    until(&client, first, |answer| answer.unwrap() == "b").await;
    assert_eq!(reached(&client, CallOptions::new()).await, "b");

    registry.deregister(&on(["b"])).await.unwrap();
    let is_unavailable = |status: Status| status.code() == Code::Unavailable;
    until(&client, CallOptions::new(), |answer| {
        answer.is_err_and(is_unavailable)
    })
    .await;
}

#[tokio::test]
async fn a_service_that_nobody_knew_is_called_when_it_has_come() {
    let registry = Memory::new();
    let client = nodes_of(registry.clone()).build().unwrap();
    let status = ask(&client, CallOptions::new()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    registered(&registry, on(["a"])).await;
    let is_a = |node| node == "a";
    until(&client, CallOptions::new(), |answer| answer.is_ok_and(is_a)).await;
}

#[tokio::test]
async fn services_have_nodes_of_their_own() {
    let registry = Memory::new();
    registered(&registry, on(["a"])).await;
    let other = Service::new("other", "latest").with_node(node("o"));
    registered(&registry, other).await;
    let client = nodes_of(registry).build().unwrap();
    let mut other = GreeterClient::new(client.channel("other"));
    assert_eq!(
        soon(other.say_hello(hello()))
            .await
            .unwrap()
            .into_inner()
            .node,
        "o"
    );
    assert_eq!(ask(&client, CallOptions::new()).await.unwrap(), "a");
}

/// A registry whose watches are written beforehand; when none is left, it is unavailable.
#[derive(Clone, Default)]
struct Told {
    watches: Arc<Mutex<VecDeque<Changes>>>,
    asked: Arc<AtomicUsize>,
}

impl Told {
    fn watch_that(self, changes: Changes) -> Self {
        self.watches.lock().unwrap().push_back(changes);
        self
    }
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Told")
    }
}

fn down() -> Error {
    Error::unavailable("told", "out of words")
}

impl Registry for Told {
    fn watch<'a>(&'a self, _: &'a ServiceName) -> BoxFuture<'a, Result<Changes, Error>> {
        self.asked.fetch_add(1, SeqCst);
        let next = self.watches.lock().unwrap().pop_front();
        Box::pin(future::ready(next.ok_or_else(down)))
    }

    fn register<'a>(
        &'a self,
        _: &'a Service,
        _: RegisterOptions,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(future::ready(Err(Error::read_only("told"))))
    }

    fn deregister<'a>(&'a self, _: &'a Service) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(future::ready(Err(Error::read_only("told"))))
    }

    fn services<'a>(&'a self) -> BoxFuture<'a, Result<Vec<ServiceName>, Error>> {
        Box::pin(future::ready(Err(down())))
    }

    fn name(&self) -> &str {
        "told"
    }
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_fails_leaves_the_last_good_set() {
    let fail = Arc::new(Notify::new());
    let failing = Arc::clone(&fail);
    let set = stream::iter([Ok(Change::Reset(vec![on(["a"])]))]);
    let end = stream::once(async move {
        failing.notified().await;
        Err(down())
    });
    let registry = Told::default().watch_that(set.chain(end).boxed());
    let client = nodes_of(registry.clone()).build().unwrap();
    assert_eq!(ask(&client, CallOptions::new()).await.unwrap(), "a");
    fail.notify_one();
    while registry.asked.load(SeqCst) < 4 {
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(ask(&client, CallOptions::new()).await.unwrap(), "a");
}

/// A registry whose first set takes 8 s.
fn slow() -> Told {
    let late = stream::once(async {
        sleep(Duration::from_secs(8)).await;
        Ok(Change::Reset(vec![on(["a"])]))
    });
    Told::default().watch_that(late.chain(stream::pending()).boxed())
}

// With the default, a watch has 5 s.
#[tokio::test(start_paused = true)]
async fn a_registry_may_be_slow_if_its_cache_is_told_so_or_is_the_programs_own() {
    let patient = CacheOptions::default().timeout(Duration::from_secs(20));
    let owned = Arc::new(Cache::with_options(slow(), patient));
    let clients = [
        nodes_of(slow()).cache(patient),
        nodes_of(Cache::with_options(slow(), patient)),
        nodes_of(owned.clone()),
    ];
    let long = CallOptions::new().timeout(Duration::from_secs(20));
    for client in clients {
        let client = client.build().unwrap();
        assert_eq!(ask(&client, long.clone()).await.unwrap(), "a");
    }
    let twice = nodes_of(owned).cache(patient).build().unwrap_err();
    assert_eq!(twice, BuildError::CacheOfCache);
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_never_answered_is_told_with_its_cause() {
    let client = nodes_of(Told::default()).build().unwrap();
    let status = ask(&client, CallOptions::new()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    for part in ["registry told is unavailable", "service greeter"] {
        assert!(status.message().contains(part), "{status}");
    }
}

#[tokio::test]
async fn the_first_calls_wait_for_the_first_set_together() {
    let known = Arc::new(Notify::new());
    let waiting = Arc::clone(&known);
    let late = stream::once(async move {
        waiting.notified().await;
        Ok(Change::Reset(vec![on(["a"])]))
    });
    let registry = Told::default().watch_that(late.chain(stream::pending()).boxed());
    let client = nodes_of(registry.clone()).build().unwrap();
    let calls = (0..5).map(|_| ask(&client, CallOptions::new()));
    let mut calls = tokio_test::task::spawn(future::join_all(calls));
    assert!(calls.poll().is_pending());
    known.notify_one();
    for answer in soon(calls).await {
        assert_eq!(answer.unwrap(), "a");
    }
    assert_eq!(
        registry.asked.load(SeqCst),
        1,
        "the registry was asked once for all"
    );
}

#[tokio::test]
async fn a_registry_that_panics_is_watched_again_by_the_next_call() {
    let panic = Arc::new(Notify::new());
    let panics = Arc::clone(&panic);
    let set = |id: &'static str| stream::iter([Ok(Change::Reset(vec![on([id])]))]);
    let end = stream::once(async move {
        panics.notified().await;
        panic!("told to");
    });
    let registry = Told::default()
        .watch_that(set("a").chain(end).boxed())
        .watch_that(set("b").chain(stream::pending()).boxed());
    let client = nodes_of(registry).build().unwrap();
    assert_eq!(ask(&client, CallOptions::new()).await.unwrap(), "a");
    panic.notify_one();
    until(&client, CallOptions::new(), |answer| answer.unwrap() == "b").await;
}

#[test]
fn a_client_that_outlives_its_runtime_goes_on_following_the_registry() {
    let runtime = || {
        let mut runtime = Builder::new_current_thread();
        runtime.enable_all().build().unwrap()
    };
    let registry = Memory::new();
    let client = nodes_of(registry.clone()).build().unwrap();
    runtime().block_on(async {
        registered(&registry, on(["a"])).await;
        assert_eq!(ask(&client, CallOptions::new()).await.unwrap(), "a");
    });
    runtime().block_on(async {
        registry.deregister(&on(["a"])).await.unwrap();
        registered(&registry, on(["b"])).await;
        until(&client, CallOptions::new(), |answer| answer.unwrap() == "b").await;
    });
}
