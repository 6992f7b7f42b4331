//! Nodes that fail: how they go, how they come back, and what calls see of it.

use std::{
    collections::BTreeSet,
    future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::future::join_all;
use http::Request;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tonic::{Code, Status};
use tower_micro::{
    Body, CacheOptions, CallOptions, Client, Context, Health, Next, Node, Outlier, PeakEwma,
    Preset, Random, Service, Static, crates::client::BuildError, from_fn,
};
use tower_micro_testkit::{Answer as Does, Scripted};

use crate::support::{
    Bare, Fleet, Recording, builder, call, failing, greeting, greeting_until, node_of, scripted,
    server,
};

fn idempotent() -> CallOptions {
    CallOptions::new().idempotent(true)
}

fn client(fleet: &Fleet, options: CallOptions) -> Client {
    let client = builder().registry(fleet.registry());
    client.options(options).build().unwrap()
}

#[tokio::test]
async fn every_call_succeeds_though_one_of_three_nodes_is_always_unavailable() {
    let fleet = Fleet::of(3).await;
    fleet.greeters[0].answer(Does::Fail(Status::unavailable("busy")));
    let client = client(&fleet, idempotent());
    for number in 0..1_500 {
        call(&client)
            .await
            .unwrap_or_else(|status| panic!("call {number}: {status}"));
    }
    let seen = fleet.greeters[0].calls();
    assert!((5..50).contains(&seen), "{seen} calls reached it");
}

#[tokio::test]
async fn calls_that_are_not_repeated_succeed_once_the_node_is_out() {
    let fleet = Fleet::of(2).await;
    fleet.greeters[0].answer(Does::Fail(Status::unavailable("busy")));
    let hold = Outlier::default().ejected_for(Duration::from_secs(600));
    let client = builder().registry(fleet.registry());
    let client = client.health(hold).build().unwrap();
    let mut failed = 0;
    while fleet.greeters[0].calls() < 5 {
        failed += usize::from(call(&client).await.is_err());
    }
    for _ in 0..200 {
        assert_eq!(call(&client).await.unwrap().node, "n1");
    }
    assert_eq!(failed, 5);
}

#[tokio::test]
async fn without_health_a_node_that_fails_is_chosen_as_often_as_before() {
    let fleet = Fleet::of(2).await;
    fleet.greeters[0].answer(Does::Fail(Status::unavailable("busy")));
    let client = builder().registry(fleet.registry());
    let client = client.health(Health::None).build().unwrap();
    for _ in 0..300 {
        let _ = call(&client).await;
    }
    assert!(fleet.greeters[0].calls() > 100);
}

#[tokio::test]
async fn a_node_that_is_restarted_gets_its_share_back() {
    let fleet = Fleet::of(3).await;
    let client = client(&fleet, idempotent());
    for _ in 0..30 {
        call(&client).await.unwrap();
    }
    let address = fleet.servers[0].address();
    fleet.servers[0].kill();
    for _ in 0..500 {
        assert_ne!(call(&client).await.unwrap().node, "n0");
    }
    let again = server().add_service(fleet.greeters[0].service());
    let server = tokio::spawn(again.serve(address));
    while call(&client).await.unwrap().node != "n0" {}
    let mut share = 0;
    for _ in 0..600 {
        share += usize::from(call(&client).await.unwrap().node == "n0");
    }
    server.abort();
    assert!((150..250).contains(&share), "{share} of 600");
}

#[tokio::test]
async fn a_node_that_hangs_is_left_alone_after_a_few_attempts() {
    let fleet = Fleet::of(3).await;
    fleet.greeters[0].answer(Does::Never);
    let hold = Outlier::default().ejected_for(Duration::from_secs(600));
    let client = builder().registry(fleet.registry()).health(hold);
    let options = idempotent().attempt_timeout(Duration::from_millis(300));
    let client = client.options(options).build().unwrap();
    for _ in 0..500 {
        call(&client).await.unwrap();
    }
    assert_eq!(fleet.greeters[0].calls(), 5);
}

#[tokio::test]
async fn a_node_that_answers_with_errors_of_its_service_stays() {
    let fleet = Fleet::of(2).await;
    let client = client(&fleet, CallOptions::new());
    for status in [
        Status::not_found("no such greeting"),
        Status::invalid_argument("no name"),
        Status::internal("a bug"),
        Status::resource_exhausted("full"),
    ] {
        let (code, before) = (status.code(), fleet.greeters[0].calls());
        fleet.greeters[0].answer(Does::Fail(status));
        for _ in 0..100 {
            let _ = call(&client).await;
        }
        assert!(fleet.greeters[0].calls() > before + 25, "{code:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_longer_than_its_deadline_is_not_held_against_its_node() {
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    let connect = Scripted::new(move |request| {
        let node = node_of(&request);
        counted.fetch_add(usize::from(node == "a"), SeqCst);
        async move {
            let slow = node == "a";
            Ok(greeting_until(node, async move {
                if slow {
                    future::pending::<()>().await;
                }
                [("grpc-status", "0")]
            }))
        }
    });
    let client = of_three(connect).build().unwrap();
    for _ in 0..60 {
        let _ = call(&client).await;
    }
    let seen = seen.load(SeqCst);
    assert!(seen > 10, "{seen}");
}

#[tokio::test(start_paused = true)]
async fn a_node_at_which_streams_are_let_go_of_and_never_end_comes_back() {
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    let connect = Scripted::new(move |request| {
        let node = node_of(&request);
        let starts = node == "a" && counted.fetch_add(1, SeqCst) < 5;
        future::ready(Ok(if starts {
            failing(Status::unavailable("starting"))
        } else {
            greeting_until(node, future::pending::<[_; 1]>())
        }))
    });
    let client = of_three(connect).options(idempotent()).build().unwrap();
    let streams = |count: usize| {
        let second = Duration::from_secs(1);
        let streams = (0..count).map(|_| timeout(second, call(&client)));
        join_all(streams)
    };
    streams(30).await;
    sleep(Duration::from_secs(2)).await;
    let before = seen.load(SeqCst);
    while seen.load(SeqCst) == before {
        streams(1).await;
    }
    let before = seen.load(SeqCst);
    streams(30).await;
    let share = seen.load(SeqCst) - before;
    assert!(share > 5, "{share} of 30");
}

/// Node `a` of three, to which five attempts went before it was out, and then the one that decides whether it comes back. Neither the five
/// nor the one have ended.
struct Returning {
    client: Client,
    seen: Arc<AtomicUsize>,
    /// Have them end well, or not.
    five: watch::Sender<Option<bool>>,
    one: watch::Sender<Option<bool>>,
}

impl Returning {
    async fn new() -> Self {
        let (five, five_end) = watch::channel(None);
        let (one, one_ends) = watch::channel(None);
        let seen = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&seen);
        let connect = Scripted::new(move |request| {
            let node = node_of(&request);
            let number = (node == "a").then(|| counted.fetch_add(1, SeqCst));
            let (end, well) = match number {
                Some(0..5) => (Some(five_end.clone()), false),
                Some(10) => (Some(one_ends.clone()), false),
                number => (None, !matches!(number, Some(5..10))),
            };
            async move {
                let well = match end {
                    Some(mut end) => *end.wait_for(Option::is_some).await.unwrap() == Some(true),
                    None => well,
                };
                Ok(if well {
                    greeting(node)
                } else {
                    failing(Status::unavailable("not now"))
                })
            }
        });
        let minute = Duration::from_secs(60);
        let options = CallOptions::new().retries(0).timeout(minute);
        let client = of_three(connect).options(options.strategy(Random));
        let this = Self {
            client: client.build().unwrap(),
            seen,
            five,
            one,
        };
        this.call_until(10).await;
        sleep(Duration::from_secs(2)).await;
        this.call_until(11).await;
        this
    }

    async fn call_until(&self, seen: usize) {
        while self.seen() < seen {
            self.call().await;
        }
    }

    /// Begins a call, which gets as far as it can.
    async fn call(&self) {
        let client = self.client.clone();
        tokio::spawn(async move { call(&client).await });
        sleep(Duration::from_millis(1)).await;
    }

    async fn end(&self, which: &watch::Sender<Option<bool>>, well: bool) {
        which.send(Some(well)).unwrap();
        sleep(Duration::from_millis(1)).await;
    }

    fn seen(&self) -> usize {
        self.seen.load(SeqCst)
    }

    /// Whether the node gets its share again.
    async fn is_back(&self) -> bool {
        let before = self.seen();
        for _ in 0..60 {
            self.call().await;
        }
        self.seen() > before
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_from_before_a_node_went_do_not_bring_it_back() {
    let node = Returning::new().await;
    node.end(&node.five, true).await;
    assert!(!node.is_back().await);
    node.end(&node.one, true).await;
    assert!(node.is_back().await);
}

#[tokio::test(start_paused = true)]
async fn attempts_from_before_a_node_went_do_not_keep_it_out() {
    let node = Returning::new().await;
    node.end(&node.five, false).await;
    node.end(&node.one, true).await;
    assert!(node.is_back().await);
}

#[tokio::test(start_paused = true)]
async fn attempts_from_before_a_node_went_are_not_held_against_it_when_it_is_back() {
    let node = Returning::new().await;
    node.end(&node.one, true).await;
    node.end(&node.five, false).await;
    assert!(node.is_back().await);
}

#[tokio::test]
async fn when_all_nodes_fail_all_are_used_and_the_caller_hears_why() {
    let fleet = Fleet::of(3).await;
    for greeter in &fleet.greeters {
        greeter.answer(Does::Fail(Status::unavailable("we are moving")));
    }
    let client = client(&fleet, CallOptions::new());
    for _ in 0..200 {
        let status = call(&client).await.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::Unavailable, "we are moving")
        );
    }
    for greeter in &fleet.greeters {
        greeter.answer(Does::Hello);
    }
    let mut well = 0;
    for _ in 0..100 {
        well += usize::from(call(&client).await.is_ok());
    }
    assert_eq!(well, 100, "two of three were never out");
}

/// Nodes `a`, `b` and `c`, which never reach a wire.
fn three(answer: impl Fn(&str) -> (Duration, bool) + Clone + Send + Sync + 'static) -> Bare {
    let connect = Scripted::new(move |request| {
        let node = node_of(&request);
        let (pause, fails) = answer(&node);
        async move {
            sleep(pause).await;
            match fails {
                true => Ok(failing(Status::not_found("no"))),
                false => Ok(greeting(node)),
            }
        }
    });
    of_three(connect)
}

fn of_three(connect: Scripted) -> Bare {
    let node = |id: &str| Node::new(id, format!("{id}:1"));
    let service = ["a", "b", "c"].map(node).into_iter();
    let service = service.fold(Service::new("greeter", "1"), Service::with_node);
    builder().registry(Static::new([service])).connect(connect)
}

#[tokio::test(start_paused = true)]
async fn go_micros_blacklist_counts_every_error_for_half_a_minute() {
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    let client = three(move |node| {
        counted.fetch_add(usize::from(node == "a"), SeqCst);
        (Duration::ZERO, node == "a")
    });
    let client = client.preset(Preset::GoMicroV4).health(Health::Blacklist);
    let client = client.build().unwrap();
    for _ in 0..200 {
        let _ = call(&client).await;
    }
    assert_eq!(seen.load(SeqCst), 3);
    sleep(Duration::from_secs(61)).await;
    for _ in 0..200 {
        let _ = call(&client).await;
    }
    assert_eq!(seen.load(SeqCst), 6);
}

#[tokio::test(start_paused = true)]
async fn a_slow_node_is_rarely_chosen_by_its_latency() {
    let client = three(|node| {
        (
            Duration::from_millis(if node == "c" { 100 } else { 10 }),
            false,
        )
    });
    let client = client.options(CallOptions::new().strategy(PeakEwma));
    let client = client.build().unwrap();
    let mut slow = 0;
    for _ in 0..1_000 {
        slow += usize::from(call(&client).await.unwrap().node == "c");
    }
    assert!((1..50).contains(&slow), "{slow} of 1000");
}

#[tokio::test]
async fn a_selector_of_your_own_has_its_own_rules() {
    let own = || scripted(&Recording::of(1), |_| async { Ok(greeting("n0")) });
    let refused = own().health(Health::None).build().unwrap_err();
    assert_eq!(refused, BuildError::HealthOfSelector);
    assert!(
        refused
            .to_string()
            .contains("RegistrySelector::with_health")
    );
    let refused = own()
        .slow_start(Duration::from_secs(1))
        .build()
        .unwrap_err();
    assert_eq!(refused, BuildError::HealthOfSelector);
    let refused = own().cache(CacheOptions::default()).build().unwrap_err();
    assert_eq!(refused, BuildError::CacheOfSelector);
    call(&own().build().unwrap()).await.unwrap();
}

// One that asks another server for a token, and gets no answer.
#[tokio::test(start_paused = true)]
async fn a_wrapper_that_hangs_is_not_held_against_nodes_which_were_not_asked() {
    let hangs = Arc::new(AtomicBool::new(true));
    let is_hanging = Arc::clone(&hangs);
    let wrapper = from_fn(move |_: Context, request: Request<Body>, next: Next| {
        let hangs = is_hanging.load(SeqCst);
        async move {
            if hangs {
                future::pending::<()>().await;
            }
            next.run(request).await
        }
    });
    let hold = Outlier::default().ejected_for(Duration::from_secs(600));
    let client = three(|_| (Duration::ZERO, false)).health(hold);
    let client = client.wrap_call(wrapper).build().unwrap();
    for _ in 0..30 {
        call(&client).await.unwrap_err();
    }
    hangs.store(false, SeqCst);
    let mut seen = BTreeSet::new();
    for _ in 0..60 {
        seen.insert(call(&client).await.unwrap().node);
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
}
