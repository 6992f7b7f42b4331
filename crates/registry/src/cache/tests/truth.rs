//! Whatever goes wrong in between, the reader ends with what the registry has.

use std::sync::Mutex;

use futures_util::{FutureExt, future};
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::time::advance;

use super::*;
use crate::{BoxFuture, Memory};

/// A registry that fails, ends its watches and loses events, as long as its list of troubles lasts.
#[derive(Clone, Debug)]
struct Flaky {
    inner: Memory,
    troubles: Arc<Mutex<Vec<Trouble>>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    None,
    Fail,
    Lose,
    Empty,
}

impl Flaky {
    fn trouble(&self) -> Trouble {
        self.troubles.lock().unwrap().pop().unwrap_or(Trouble::None)
    }

    fn spoil(&self, item: Result<Change, Error>) -> Option<Result<Change, Error>> {
        match (self.trouble(), item) {
            (Trouble::Fail, _) => Some(Err(scripted::unavailable("flaky"))),
            (Trouble::Empty, Ok(Change::Reset(_))) => Some(Ok(nothing())),
            (Trouble::Lose, Ok(Change::Put(_) | Change::Delete(_))) => None,
            (_, item) => Some(item),
        }
    }
}

impl Registry for Flaky {
    fn watch<'a>(&'a self, service: &'a ServiceName) -> BoxFuture<'a, Result<Changes, Error>> {
        let flaky = self.clone();
        Box::pin(async move {
            if flaky.trouble() == Trouble::Fail {
                return Err(scripted::unavailable("flaky"));
            }
            let changes = flaky.inner.watch(service).await?;
            Ok(changes
                .filter_map(move |item| future::ready(flaky.spoil(item)))
                .boxed())
        })
    }

    fn register<'a>(
        &'a self,
        service: &'a Service,
        options: RegisterOptions,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.inner.register(service, options)
    }

    fn deregister<'a>(&'a self, service: &'a Service) -> BoxFuture<'a, Result<(), Error>> {
        self.inner.deregister(service)
    }

    fn services<'a>(&'a self) -> BoxFuture<'a, Result<Vec<ServiceName>, Error>> {
        self.inner.services()
    }

    fn name(&self) -> &str {
        "flaky"
    }
}

async fn read_for(changes: &mut Changes, set: &mut Vec<Service>, time: Duration) {
    let end = Instant::now() + time;
    while let Ok(item) = tokio::time::timeout_at(end, changes.next()).await {
        if let Ok(change) = item.expect("a watch of a cache never ends") {
            change.apply(set);
        }
    }
}

async fn play(
    troubles: Vec<Trouble>,
    steps: Vec<(bool, String, u64)>,
) -> (Vec<Service>, Vec<Service>) {
    let memory = Memory::new();
    let cache = Cache::new(Flaky {
        inner: memory.clone(),
        troubles: Arc::new(Mutex::new(troubles)),
    });
    let (mut changes, mut set) = (watch(&cache).await, Vec::new());
    for (up, id, time) in steps {
        match up {
            true => memory
                .register(&greeter(&[&id]), RegisterOptions::default())
                .await
                .unwrap(),
            false => memory.deregister(&greeter(&[&id])).await.unwrap(),
        }
        read_for(&mut changes, &mut set, Duration::from_millis(time)).await;
    }
    advance(SECOND).await;
    read_for(&mut changes, &mut set, SECOND * 1000).await;
    let Change::Reset(truth) = change(&mut memory.watch(&name()).await.unwrap()).await else {
        panic!("a watch begins with the whole set");
    };
    assert!(changes.next().now_or_never().is_none());
    (set, truth)
}

fn any_trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        3 => Just(Trouble::None),
        1 => Just(Trouble::Fail),
        1 => Just(Trouble::Lose),
        1 => Just(Trouble::Empty),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn when_the_troubles_are_over_the_reader_has_what_the_registry_has(
        troubles in vec(any_trouble(), 0..12),
        steps in vec((any::<bool>(), "[abc]", 0..40_000u64), 0..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let (set, truth) = runtime.unwrap().block_on(play(troubles, steps));
        prop_assert!(compare::same(&set, &truth), "{:?} is not {:?}", set, truth);
    }
}
