//! Dropping a call ends everything it started: nothing goes on, nothing is kept, nothing was paid for that was not used.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::{FutureExt, future};
use tokio::{
    sync::Notify,
    task::yield_now,
    time::{advance, sleep},
};
use tonic::{Code, Status};
use tower::limit::ConcurrencyLimitLayer;
use tower_micro::{
    Budget, CallOptions, Candidate, Client, Context, Mark, Memory, Next, Preset, RegisterOptions,
    Registry, RequestExt, Selector, Service, ServiceName, Static,
    crates::selector::{SelectOptions, Selection},
    from_fn,
};
use tower_micro_testkit::{
    TestServer,
    proto::greeter::{
        HelloReply, HelloRequest,
        greeter_client::GreeterClient,
        greeter_server::{self, GreeterServer},
    },
};

use crate::support::{
    Bare, Recording, STEP, greeter, greeting_until, hello, persistent, plain, scripted, soon,
    start, tasks, third_time_lucky, until_tasks_are, wired,
};

/// A selector that takes its time.
#[derive(Debug)]
struct Slow(Recording);

impl Selector for Slow {
    fn select(&self, _: &ServiceName, _: &SelectOptions) -> Selection {
        let picker = self.0.picker();
        Selection::Pending(Box::pin(async {
            sleep(STEP).await;
            Ok(picker)
        }))
    }

    fn mark(&self, service: &ServiceName, node: &Arc<Candidate>, mark: Mark<'_>) {
        self.0.mark(service, node, mark);
    }

    fn name(&self) -> &'static str {
        "slow"
    }
}

/// A budget that never refuses, and counts.
#[derive(Default)]
struct Counted {
    withdrawn: AtomicU32,
    deposited: AtomicU32,
}

impl Budget for Counted {
    fn deposit(&self) {
        self.deposited.fetch_add(1, SeqCst);
    }

    fn withdraw(&self) -> bool {
        self.withdrawn.fetch_add(1, SeqCst);
        true
    }
}

/// What calls leave behind.
struct Scene {
    recording: Recording,
    budget: Arc<Counted>,
    /// Attempts that have reached a node.
    sent: Arc<AtomicU32>,
}

impl Scene {
    /// Two attempts fail and the third succeeds.
    fn new() -> (Self, Bare) {
        let scene = Self {
            recording: Recording::of(3),
            budget: Arc::default(),
            sent: Arc::default(),
        };
        let sent = Arc::clone(&scene.sent);
        let client = scripted(&scene.recording, move |request| {
            sent.fetch_add(1, SeqCst);
            third_time_lucky(request)
        });
        let options = persistent().budget(Arc::<Counted>::clone(&scene.budget));
        let client = client.selector(Slow(scene.recording.clone()));
        (scene, client.options(options))
    }

    /// Every node that was picked was marked once, before the next was picked.
    fn check_marks(&self, dropped: bool) {
        let entries = self.recording.diary.entries();
        let pairs = entries.chunks(2);
        let last = pairs.len().saturating_sub(1);
        for (number, pair) in pairs.enumerate() {
            let node = pair[0].strip_prefix("next:").unwrap();
            let mark = pair[1].strip_prefix(&format!("mark:{node}:")).unwrap();
            let was_under_way = dropped && number == last && mark == "cancelled";
            let ended = mark == ["failed", "failed", "ok"][number];
            assert!(ended || was_under_way, "{entries:?}");
        }
    }

    fn check(&self, dropped: bool) {
        self.check_marks(dropped);
        assert_eq!(self.recording.in_flight(), 0);
        let retries = self.sent.load(SeqCst).saturating_sub(1);
        assert_eq!(self.budget.withdrawn.load(SeqCst), retries);
        assert_eq!(self.budget.deposited.load(SeqCst), u32::from(!dropped));
    }
}

/// Polls a call so many times, half a step apart, and drops it. Says whether it was over by then.
async fn dropped_after(polls: u32, client: &Client) -> bool {
    let mut greeter = greeter(client);
    let mut call = tokio_test::task::spawn(greeter.say_hello(hello()));
    for _ in 0..polls {
        if call.poll().is_ready() {
            return true;
        }
        advance(STEP / 2).await;
    }
    false
}

/// Drops a call at every moment of its life.
async fn leaves_nothing(build: impl Fn(Bare) -> Client) {
    let before = tasks();
    for polls in 0.. {
        let (scene, client) = Scene::new();
        let client = build(client);
        let over = dropped_after(polls, &client).await;
        scene.check(!over);
        soon(greeter(&client).say_hello(hello())).await.unwrap();
        assert_eq!(scene.recording.in_flight(), 0, "after the next call");
        drop(client);
        yield_now().await;
        assert_eq!(tasks(), before);
        if over {
            assert!(polls > 14, "all steps were seen, not only {polls}");
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_can_be_dropped_at_any_moment() {
    leaves_nothing(|client| client.build().unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn so_can_one_in_go_micros_dialects() {
    leaves_nothing(|client| client.preset(Preset::GoMicroV2).build().unwrap()).await;
    leaves_nothing(|client| client.preset(Preset::GoMicroV4).build().unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn so_can_one_inside_of_wrappers_of_all_kinds() {
    let pass = |_: Context, request, next: Next| async move { next.run(request).await };
    leaves_nothing(|client| {
        let client = client
            .wrap_client(from_fn(pass))
            .wrap_call(from_fn(pass))
            .erased()
            .options(CallOptions::new().call_wrapper(pass));
        client.build().unwrap()
    })
    .await;
}

// The next call of the same client shows that the permit was given back.
#[tokio::test(start_paused = true)]
async fn a_permit_is_given_back_with_the_call() {
    let one = || ConcurrencyLimitLayer::new(1);
    leaves_nothing(|client| client.wrap(one()).wrap_call(one()).build().unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_before_its_retry_has_taken_nothing_of_the_budget() {
    let (scene, client) = Scene::new();
    let client = client.build().unwrap();
    // Selection, backoff and the first attempt: now it sleeps before the second.
    assert!(!dropped_after(7, &client).await);
    assert_eq!(scene.recording.diary.text(), "next:n0 mark:n0:failed");
    assert_eq!(scene.budget.withdrawn.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_let_go_of_before_its_end_marks_the_node_as_cancelled() {
    let recording = Recording::of(1);
    let client = scripted(&recording, |_| async {
        Ok(greeting_until("n0", future::pending::<[_; 0]>()))
    });
    let client = client.build().unwrap();
    assert!(!dropped_after(3, &client).await);
    assert_eq!(
        recording.diary.text(),
        "select:greeter next:n0 mark:n0:cancelled"
    );
    assert_eq!(recording.in_flight(), 0);
}

/// A handler that never ends, and tells when it is entered and left.
#[derive(Clone, Debug, Default)]
struct Endless {
    entered: Arc<Notify>,
    left: Arc<Notify>,
}

/// Tells when it is dropped.
struct Leaving(Arc<Notify>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tonic::async_trait]
impl greeter_server::Greeter for Endless {
    async fn say_hello(
        &self,
        request: tonic::Request<HelloRequest>,
    ) -> Result<tonic::Response<HelloReply>, Status> {
        if request.into_inner().name != "Ada" {
            return Ok(tonic::Response::new(HelloReply::default()));
        }
        let _leaving = Leaving(Arc::clone(&self.left));
        self.entered.notify_one();
        future::pending().await
    }
}

async fn endless() -> (Endless, TestServer, Client) {
    let handler = Endless::default();
    let service = GreeterServer::new(handler.clone());
    let server = start("n0", service).await.unwrap();
    let registry = Static::addresses("greeter", [server.address().to_string()]).unwrap();
    let client = wired().registry(registry);
    (handler, server, client.build().unwrap())
}

#[tokio::test]
async fn the_server_sees_that_the_caller_has_gone() {
    let (handler, _server, client) = endless().await;
    let mut greeter = greeter(&client);
    tokio::select! {
        answer = greeter.say_hello(hello()) => panic!("{answer:?}"),
        () = soon(handler.entered.notified()) => {}
    }
    soon(handler.left.notified()).await;
    let other = tonic::Request::new(HelloRequest { name: "Bob".into() });
    soon(greeter.say_hello(other)).await.unwrap();
}

#[tokio::test]
async fn the_server_sees_that_the_deadline_has_passed() {
    let (handler, _server, client) = endless().await;
    let mut time = Duration::from_millis(50);
    // A call that has not come as far as the handler has more time the next time.
    while handler.entered.notified().now_or_never().is_none() {
        time *= 2;
        let options = CallOptions::new().timeout(time);
        let answer = soon(greeter(&client).say_hello(hello().with_options(options))).await;
        assert_eq!(answer.unwrap_err().code(), Code::DeadlineExceeded);
    }
    soon(handler.left.notified()).await;
}

#[tokio::test]
async fn a_client_that_is_dropped_leaves_no_task() {
    let registry = Memory::new();
    let (_handler, server, _) = endless().await;
    let greeters = Service::new("greeter", "latest").with_node(server.node());
    let options = RegisterOptions::default();
    registry.register(&greeters, options).await.unwrap();
    // A connection of the server's side ends when it hears of it.
    let before = tasks();
    let client = wired().registry(registry).build().unwrap();
    let bob = || tonic::Request::new(HelloRequest { name: "Bob".into() });
    soon(greeter(&client).say_hello(bob())).await.unwrap();
    assert!(tasks() > before);
    drop(client);
    until_tasks_are(before).await;
    soon(GreeterClient::new(plain(&server)).say_hello(bob()))
        .await
        .unwrap();
}
