//! A hundred thousand calls, thrown together by chance: each ends when it can, and never after its deadline.
//!
//! Every time is a whole millisecond, but for the deadline, which may lie anywhere between two. So it is known to the millisecond when
//! a call ends that nothing disturbs, and what is asserted of time is exact.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use http::Request;
use tokio::time::{Instant, sleep};
use tonic::Status;
use tower_micro::{
    Body, Budget, CallOptions, Candidate, Client, Error, Kind, Mark, Notes, Picker, Preset,
    RequestExt, RetryContext, Selector, ServiceName,
    crates::selector::{SelectOptions, Selection},
};
use tower_micro_testkit::{Scripted, proto::greeter::HelloReply};

use crate::support::{Answer, builder, failing, greeter, greeting_until, hello, number_of};

const CASES: u64 = 100_000;
/// So many calls at any time.
const AT_ONCE: usize = 1000;
/// The first case's; the others follow.
const SEED: u64 = 0x5EED;
const MOST_RETRIES: u32 = 4;
const MILLISECOND: Duration = Duration::from_millis(1);

/// What an attempt meets.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// Until headers come, which may say that it has failed.
    headers: u32,
    fails: bool,
    /// From then on until the answer has ended.
    rest: u32,
}

/// A call and all that it meets; times in milliseconds.
#[derive(Clone, Debug)]
struct Case {
    seed: u64,
    preset: Preset,
    idempotent: bool,
    deadline: Duration,
    retries: u32,
    selection: u32,
    attempt_timeout: Option<u32>,
    /// Before each attempt.
    pauses: [u32; 1 + MOST_RETRIES as usize],
    nodes: [Node; 1 + MOST_RETRIES as usize],
}

impl Case {
    fn of(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let longest = random.choice([1, 10, 100, 1000]).unwrap();
        let some = |random: &mut fastrand::Rng| match random.u8(..4) {
            0 => 0,
            _ => random.u32(..=longest),
        };
        Self {
            seed,
            preset: random.choice(PRESETS).unwrap(),
            idempotent: random.u8(..5) == 0,
            deadline: Duration::from_micros(random.u64(..=6000 * u64::from(longest))),
            retries: random.u32(..=MOST_RETRIES),
            selection: some(&mut random),
            attempt_timeout: random.bool().then(|| 1 + some(&mut random)),
            pauses: std::array::from_fn(|_| some(&mut random)),
            nodes: std::array::from_fn(|_| Node {
                headers: some(&mut random),
                fails: random.bool(),
                rest: some(&mut random),
            }),
        }
    }

    /// Whether its attempts have a share of what is left, which no whole millisecond is.
    fn is_shared(&self) -> bool {
        self.idempotent && self.preset == Preset::Standard && self.attempt_timeout.is_none()
    }

    /// When it would end if it had no deadline, and whether well.
    fn undisturbed(&self) -> (Duration, bool) {
        let mut at = self.selection;
        for (pause, node) in self
            .pauses
            .iter()
            .zip(&self.nodes)
            .take(1 + self.retries as usize)
        {
            let patience = self.attempt_timeout.unwrap_or(u32::MAX);
            at += pause + node.headers.min(patience);
            if node.headers <= patience && !node.fails {
                return (milliseconds(at + node.rest), true);
            }
        }
        (milliseconds(at), false)
    }

    fn options(&self) -> CallOptions {
        let pauses = self.pauses;
        let options = CallOptions::new()
            .timeout(self.deadline)
            .idempotent(self.idempotent)
            .retries(self.retries)
            .retry(|_: RetryContext<'_>| Ok(true))
            .backoff(move |cx: RetryContext<'_>| Ok(milliseconds(pauses[cx.attempt as usize])))
            .budget(Arc::new(Boundless))
            // How selector and nodes know which case they are in.
            .hash_key(self.seed - SEED);
        match self.attempt_timeout {
            Some(timeout) => options.attempt_timeout(milliseconds(timeout)),
            None => options,
        }
    }

    /// Checks how it ended, and after how long.
    fn check(&self, end: &Result<HelloReply, Status>, took: Duration) {
        let deadline = self.deadline..=self.deadline + MILLISECOND;
        let overdue = end
            .as_ref()
            .err()
            .map(|status| Error::from(status.clone()).kind());
        let overdue = overdue == Some(Kind::Deadline);
        assert!(took <= *deadline.end(), "{took:?} {end:?} {self:?}");
        match self.undisturbed() {
            _ if self.is_shared() => {
                assert!(!overdue || deadline.contains(&took), "{took:?} {self:?}");
            }
            (at, well) if at < self.deadline => {
                assert_eq!(
                    (took, end.is_ok(), overdue),
                    (at, well, false),
                    "{end:?} {self:?}"
                );
            }
            // Both at once: an answer that has come may still be taken.
            (at, _) if deadline.contains(&at) => {
                assert!(deadline.contains(&took), "{took:?} {self:?}");
            }
            _ => assert!(
                overdue && deadline.contains(&took),
                "{took:?} {end:?} {self:?}"
            ),
        }
    }
}

const PRESETS: [Preset; 3] = [Preset::Standard, Preset::GoMicroV2, Preset::GoMicroV4];

fn milliseconds(count: u32) -> Duration {
    Duration::from_millis(u64::from(count))
}

/// A budget for as many retries as anybody likes.
struct Boundless;

impl Budget for Boundless {
    fn deposit(&self) {}

    fn withdraw(&self) -> bool {
        true
    }
}

/// All cases, and how many attempts have begun and ended in them.
#[derive(Debug)]
struct Scene {
    cases: Vec<Case>,
    picked: AtomicU64,
    marked: AtomicU64,
}

impl Scene {
    fn new() -> Self {
        Self {
            cases: cases().collect(),
            picked: AtomicU64::new(0),
            marked: AtomicU64::new(0),
        }
    }

    fn case(&self, options: &SelectOptions) -> &Case {
        &self.cases[options.hash_key.unwrap() as usize]
    }
}

fn cases() -> impl Iterator<Item = Case> {
    (SEED..SEED + CASES).map(Case::of)
}

/// A selector that takes the time of the case.
#[derive(Clone, Debug)]
struct Patient(Arc<Scene>);

impl Selector for Patient {
    fn select(&self, _: &ServiceName, options: &SelectOptions) -> Selection {
        let scene = Arc::clone(&self.0);
        let node = Candidate::at("10.0.0.1:1");
        let picker = Picker::new(move || {
            scene.picked.fetch_add(1, SeqCst);
            Ok(Arc::clone(&node))
        });
        match self.0.case(options).selection {
            0 => Selection::Ready(Ok(picker)),
            time => Selection::Pending(Box::pin(async move {
                sleep(milliseconds(time)).await;
                Ok(picker)
            })),
        }
    }

    fn mark(&self, _: &ServiceName, node: &Arc<Candidate>, _: Mark<'_>) {
        self.0.marked.fetch_add(1, SeqCst);
        assert!(node.in_flight() <= 1, "attempts of a call never overlap");
    }

    fn name(&self) -> &'static str {
        "patient"
    }
}

async fn node(request: Request<Body>, scene: Arc<Scene>) -> Answer {
    let notes = Notes::of(&request).unwrap();
    let case = scene.case(notes.options().unwrap().get_select());
    let end = notes.deadline().unwrap().instant() + MILLISECOND;
    assert!(Instant::now() < end, "an attempt began too late: {case:?}");
    let node = case.nodes[number_of(&request) as usize];
    sleep(milliseconds(node.headers)).await;
    if node.fails {
        return Ok(failing(Status::unavailable("busy")));
    }
    Ok(greeting_until("n0", async move {
        sleep(milliseconds(node.rest)).await;
        [("grpc-status", "0")]
    }))
}

fn client(preset: Preset, scene: &Arc<Scene>) -> Client {
    let known = Arc::clone(scene);
    let nodes = Scripted::new(move |request| node(request, Arc::clone(&known)));
    let selector = Patient(Arc::clone(scene));
    let client = builder().preset(preset).selector(selector);
    client.connect(nodes).build().unwrap()
}

async fn run(case: &Case, clients: &[Client; 3]) {
    let client = PRESETS
        .iter()
        .zip(clients)
        .find(|(preset, _)| **preset == case.preset);
    let mut greeter = greeter(client.unwrap().1);
    let began = Instant::now();
    let end = greeter
        .say_hello(hello().with_options(case.options()))
        .await;
    case.check(&end.map(tonic::Response::into_inner), began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn whatever_a_call_meets_it_ends_when_it_can_and_never_after_its_deadline() {
    let scene = Arc::new(Scene::new());
    let clients = PRESETS.map(|preset| client(preset, &scene));
    let calls = (0..AT_ONCE).map(|first| {
        let (clients, scene) = (clients.clone(), Arc::clone(&scene));
        tokio::spawn(async move {
            for case in scene.cases.iter().skip(first).step_by(AT_ONCE) {
                run(case, &clients).await;
            }
        })
    });
    for calls in calls.collect::<Vec<_>>() {
        calls.await.unwrap();
    }
    let (picked, marked) = (scene.picked.load(SeqCst), scene.marked.load(SeqCst));
    assert_eq!(picked, marked, "each attempt marks its node once");
}

// Else the property above would say little.
#[test]
fn cases_of_all_kinds_are_many() {
    let share = |is: fn(&Case) -> bool| cases().filter(is).count() as u64 * 100 / CASES;
    let well = share(|case| matches!(case.undisturbed(), (at, true) if at < case.deadline));
    let badly = share(|case| matches!(case.undisturbed(), (at, false) if at < case.deadline));
    let overdue = share(|case| case.undisturbed().0 > case.deadline + MILLISECOND);
    assert!(
        well >= 40 && badly >= 15 && overdue >= 20,
        "{well} {badly} {overdue}"
    );
}
