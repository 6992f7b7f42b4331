//! Calls that wait for a stream, whatever happens to the connections and to those who wait, in any order.

use std::{
    collections::BTreeMap,
    future::{poll_fn, ready},
    io, mem,
    pin::Pin,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::Frame;
use http_body_util::StreamBody;
use proptest::{
    prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest},
    sample::Index,
    test_runner::TestCaseResult,
};
use tokio::{
    io::{AsyncWriteExt, DuplexStream, duplex},
    runtime, task,
    time::{sleep, timeout},
};
use tokio_test::task::Spawn;
use tonic::Status;
use tower_micro_call::Replay;
use tower_micro_registry::Node;

use super::{link::Link, *};

/// The other end of what a slot dials: it says how many streams it allows, and takes what comes.
#[derive(Debug)]
struct Peer {
    allows: AtomicU32,
    dials: AtomicU32,
    open: Mutex<Option<DuplexStream>>,
}

impl Peer {
    fn allowing(streams: u32) -> Arc<Self> {
        Arc::new(Self {
            allows: AtomicU32::new(streams),
            dials: AtomicU32::new(0),
            open: Mutex::default(),
        })
    }

    fn dialled(&self) -> DuplexStream {
        let (near, far) = duplex(1 << 24);
        self.dials.fetch_add(1, SeqCst);
        *self.open.lock().unwrap() = Some(far);
        self.say(&self.settings());
        near
    }

    /// SETTINGS with MAX_CONCURRENT_STREAMS.
    fn settings(&self) -> Vec<u8> {
        let head = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3];
        [&head[..], &self.allows.load(SeqCst).to_be_bytes()].concat()
    }

    fn allow(&self, streams: u32) {
        self.allows.store(streams, SeqCst);
        self.say(&self.settings());
    }

    /// GOAWAY, after which the streams that are open go on.
    fn goes(&self) {
        let head = [0, 0, 8, 7, 0, 0, 0, 0, 0];
        self.say(&[&head[..], &i32::MAX.to_be_bytes(), &[0; 4]].concat());
    }

    fn breaks(&self) {
        self.open().take();
    }

    fn say(&self, bytes: &[u8]) {
        if let Some(open) = &mut *self.open() {
            let said = task::unconstrained(open.write_all(bytes)).now_or_never();
            // Nobody may be there any more.
            let _ = said.expect("it has room");
        }
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Option<DuplexStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connections of one node.
fn slots(peers: &[Arc<Peer>]) -> Vec<Arc<Slot>> {
    let queue = Arc::default();
    let slot = |peer: &Arc<Peer>| {
        let peer = Arc::clone(peer);
        let dial = move |_: &Node| ready(io::Result::Ok(peer.dialled()));
        let connect = H2::new().keepalive(None).dial(dial);
        let origin = Origin::new(false, "a:1".parse().unwrap(), HeaderValue::from_static("a"));
        let node = Node::new("a", "a:1");
        Slot::new(connect, node, origin, Duration::MAX, &queue)
    };
    peers.iter().map(slot).collect()
}

/// How many more streams `link` has: all are taken, and given back.
fn free(link: &Link) -> usize {
    let tickets: Vec<_> = std::iter::from_fn(|| link.ticket()).collect();
    tickets.len()
}

/// How many streams of `link` are taken: each knows what calls on the connection tell each other, as do the connection and its task.
fn taken(link: &Link) -> usize {
    let state = link.state();
    Arc::strong_count(&state) - 3
}

/// The connections that take streams, as the peers have said by now.
fn open(slots: &[Arc<Slot>]) -> impl Iterator<Item = (usize, Arc<Link>)> {
    let links = slots.iter().map(|slot| slot.link().map(|link| link.get()));
    let open = links
        .enumerate()
        .filter_map(|(place, link)| Some((place, link?)));
    open.filter(|(_, link)| {
        link.look();
        link.is_open()
    })
}

/// A request that is complete, or one that goes on for as long as its call.
fn request(goes_on: bool) -> Request<Body> {
    if !goes_on {
        return Request::new(Body::from(Bytes::from_static(b"hello")));
    }
    let frames = futures_util::stream::pending::<Result<Frame<Bytes>, Status>>();
    Request::new(tonic::body::Body::new(StreamBody::new(frames)).capture())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connecting,
    Queueing,
    Exchanging,
}

fn phase(call: &ResponseFuture) -> Phase {
    match format!("{call:?}").as_str() {
        "ResponseFuture(connecting)" => Phase::Connecting,
        "ResponseFuture(queueing)" => Phase::Queueing,
        "ResponseFuture(exchanging)" => Phase::Exchanging,
        other => panic!("{other} is no phase of a call that goes on"),
    }
}

#[derive(Clone, Debug)]
enum Step {
    Call { slot: Index, goes_on: bool },
    Leave(Index),
    Allow(Index, u32),
    Goes(Index),
    Breaks(Index),
    Run,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (any::<Index>(), any::<bool>()).prop_map(|(slot, goes_on)| Step::Call { slot, goes_on }),
        6 => any::<Index>().prop_map(Step::Leave),
        2 => (any::<Index>(), 0..4_u32).prop_map(|(slot, streams)| Step::Allow(slot, streams)),
        1 => any::<Index>().prop_map(Step::Goes),
        1 => any::<Index>().prop_map(Step::Breaks),
        8 => Just(Step::Run),
    ]
}

/// A call, what it was doing when it was looked at last, and since which turn.
struct Call {
    future: Spawn<ResponseFuture>,
    phase: Phase,
    since: usize,
}

struct Scene {
    peers: Vec<Arc<Peer>>,
    slots: Vec<Arc<Slot>>,
    calls: BTreeMap<usize, Call>,
    turn: usize,
    /// The connections that were open, and how many had been dialled.
    open: Vec<Arc<Link>>,
    dials: u32,
}

impl Scene {
    fn new(allowed: &[u32]) -> Self {
        let peers: Vec<_> = allowed.iter().copied().map(Peer::allowing).collect();
        Self {
            slots: slots(&peers),
            peers,
            calls: BTreeMap::new(),
            turn: 0,
            open: Vec::new(),
            dials: 0,
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Call { slot, goes_on } => self.call(&Arc::clone(slot.get(&self.slots)), *goes_on),
            Step::Leave(call) if !self.calls.is_empty() => {
                let keys: Vec<_> = self.calls.keys().copied().collect();
                self.calls.remove(call.get(&keys));
            }
            Step::Allow(peer, streams) => peer.get(&self.peers).allow(*streams),
            Step::Goes(peer) => peer.get(&self.peers).goes(),
            Step::Breaks(peer) => peer.get(&self.peers).breaks(),
            Step::Leave(_) | Step::Run => {}
        }
    }

    fn call(&mut self, slot: &Arc<Slot>, goes_on: bool) {
        let future = ResponseFuture::new(slot, request(goes_on));
        let mut future = tokio_test::task::spawn(future);
        if future.poll().is_pending() {
            let phase = phase(&future);
            let since = self.turn;
            self.calls.insert(
                self.turn,
                Call {
                    future,
                    phase,
                    since,
                },
            );
        }
    }

    /// Polls those who are woken, and nobody else, until nobody is.
    async fn run(&mut self) {
        for _ in 0..1000 {
            // Long enough for a dial that has failed to be tried again.
            sleep(Duration::from_secs(3)).await;
            let mut is_anybody_woken = false;
            self.calls.retain(|_, call| {
                let is_woken = call.future.is_woken();
                is_anybody_woken |= is_woken;
                !is_woken || call.future.poll().is_pending()
            });
            if !is_anybody_woken {
                return;
            }
        }
        panic!("they wake one another for ever");
    }

    fn waiting(&self) -> usize {
        self.doing(Phase::Queueing)
    }

    fn doing(&self, what: Phase) -> usize {
        let calls = self.calls.values();
        calls.filter(|call| phase(&call.future) == what).count()
    }

    /// Whether a connection has closed since this was asked last, for which all who wait may have been sent to look for themselves; or
    /// one has been dialled, which may have come and gone.
    fn may_have_lost_one(&mut self) -> bool {
        let mut were_open = self.open.iter();
        let lost = were_open.any(|link| !link.is_open());
        self.open = open(&self.slots).map(|(_, link)| link).collect();
        let dials = self.peers.iter().map(|peer| peer.dials.load(SeqCst)).sum();
        mem::replace(&mut self.dials, dials) != dials || lost
    }

    /// What must be true whenever nobody is woken.
    fn check(&mut self) -> TestCaseResult {
        self.check_streams()?;
        self.check_order()
    }

    fn check_order(&mut self) -> TestCaseResult {
        let lost = self.may_have_lost_one();
        let mut begun = Vec::new();
        for call in self.calls.values_mut() {
            let now = phase(&call.future);
            let begins = now == Phase::Exchanging && call.phase != now;
            if begins && call.phase == Phase::Queueing {
                begun.push(call.since);
            }
            if call.phase != now || lost {
                (call.phase, call.since) = (now, self.turn);
            }
        }
        let waiting = self.calls.values();
        let first = waiting
            .filter(|call| call.phase == Phase::Queueing)
            .map(|call| call.since)
            .min();
        if let (Some(last), Some(first), false) = (begun.iter().max(), first, lost) {
            prop_assert!(last <= &first, "{last} begins before {first}");
        }
        Ok(())
    }

    fn check_streams(&self) -> TestCaseResult {
        let waiting = self.waiting();
        let queue = self.slots[0].queue();
        prop_assert_eq!(queue.is_empty(), waiting == 0);
        for slot in &self.slots {
            let unused = slot.link().map_or(0, |link| free(&link));
            prop_assert!(waiting == 0 || unused == 0, "nobody takes {unused}");
        }
        for (place, link) in open(&self.slots) {
            let allows = self.peers[place].allows.load(SeqCst) as usize;
            prop_assert_eq!(free(&link), allows.saturating_sub(taken(&link)));
        }
        self.slots[0].queue().serve();
        // Whoever waits had been told already what was found by this.
        let woken = self.calls.values().filter(|call| call.future.is_woken());
        prop_assert_eq!(woken.count(), 0, "it should have been told");
        let may_serve = |slot: &Arc<Slot>| slot.state() != State::Closed;
        let is_served = self.slots.iter().any(may_serve);
        prop_assert!(waiting == 0 || is_served, "there is nothing to wait for");
        Ok(())
    }

    /// Whoever waits has its turn in the end, and every stream is given back.
    async fn end(mut self) -> TestCaseResult {
        self.peers.iter().for_each(|peer| peer.allow(2));
        self.run().await;
        while !self.calls.is_empty() {
            let before = self.calls.len();
            self.calls
                .retain(|_, call| phase(&call.future) != Phase::Exchanging);
            prop_assert!(self.calls.len() < before, "nobody's turn comes");
            self.turn += 1;
            self.run().await;
            self.check()?;
        }
        prop_assert!(self.slots[0].queue().is_empty());
        for (_, link) in open(&self.slots) {
            prop_assert_eq!(free(&link), 2);
        }
        Ok(())
    }
}

async fn played(allowed: &[u32], steps: &[Step]) -> TestCaseResult {
    let mut scene = Scene::new(allowed);
    for step in steps {
        scene.turn += 1;
        scene.take(step);
        if matches!(step, Step::Run) {
            scene.run().await;
            scene.check()?;
        }
    }
    scene.run().await;
    scene.check()?;
    scene.end().await
}

proptest! {
    #[test]
    fn who_comes_first_is_served_first_and_no_stream_is_lost(
        allowed in proptest::collection::vec(1..4_u32, 1..4),
        steps in proptest::collection::vec(step(), 1..80),
    ) {
        let mut runtime = runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(played(&allowed, &steps))?;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_allowed_when_nobody_waited_is_used_whichever_connection_has_it() {
    let mut scene = Scene::new(&[1, 1]);
    for slot in scene.slots.clone() {
        scene.turn += 1;
        scene.call(&slot, false);
    }
    scene.run().await;
    scene.peers[1].allow(2);
    scene.run().await;
    let first = Arc::clone(&scene.slots[0]);
    scene.turn += 1;
    scene.call(&first, false);
    scene.run().await;
    assert_eq!(scene.doing(Phase::Exchanging), 3);
}

#[tokio::test(start_paused = true)]
async fn who_waits_keeps_its_place_when_its_connection_closes() {
    let mut scene = Scene::new(&[1, 1]);
    for turn in 1..=4 {
        scene.turn = turn;
        let slot = Arc::clone(&scene.slots[(turn + 1) % 2]);
        scene.call(&slot, false);
        scene.run().await;
    }
    assert_eq!((scene.doing(Phase::Exchanging), scene.waiting()), (2, 2));
    scene.peers[0].goes();
    // The next one is open when it allows a stream.
    for streams in [0, 1] {
        scene.peers[0].allow(streams);
        scene.run().await;
    }
    let waits = |turn| phase(&scene.calls[&turn].future) == Phase::Queueing;
    assert_eq!((waits(3), waits(4)), (false, true));
}

/// One call that is let go of when it has begun, if it does.
async fn comes_and_goes(slot: Arc<Slot>) {
    let mut call = ResponseFuture::new(&slot, request(fastrand::bool()));
    let begun = poll_fn(|cx| match Pin::new(&mut call).poll(cx) {
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending if phase(&call) == Phase::Exchanging => Poll::Ready(()),
        Poll::Pending => Poll::Pending,
    });
    begun.await;
    task::yield_now().await;
}

async fn comes_and_goes_often(slots: Vec<Arc<Slot>>) {
    for _ in 0..50 {
        let slot = fastrand::choice(&slots).expect("there are some");
        let call = task::spawn(comes_and_goes(Arc::clone(slot)));
        task::yield_now().await;
        if fastrand::u8(..4) == 0 {
            call.abort();
        }
        let _ = call.await;
    }
}

/// Says so much in any order, and has streams for everybody in the end.
async fn says_much(peers: Vec<Arc<Peer>>) {
    for _ in 0..500 {
        let peer = fastrand::choice(&peers).expect("there are some");
        match fastrand::u8(..20) {
            0 => peer.goes(),
            1 => peer.breaks(),
            _ => peer.allow(fastrand::u32(..4)),
        }
        task::yield_now().await;
    }
    peers.iter().for_each(|peer| peer.allow(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_ever_and_no_stream_is_lost_whatever_peers_say() {
    let peers = [1, 2, 3].map(Peer::allowing);
    let slots = slots(&peers);
    let callers: Vec<_> = (0..40)
        .map(|_| task::spawn(comes_and_goes_often(slots.clone())))
        .collect();
    let says = task::spawn(says_much(peers.to_vec()));
    let all = async {
        says.await.unwrap();
        for caller in callers {
            caller.await.unwrap();
        }
    };
    timeout(Duration::from_secs(60), all)
        .await
        .expect("nobody waits for ever");
    assert!(slots[0].queue().is_empty());
    for (_, link) in open(&slots) {
        assert_eq!(free(&link), 2);
    }
}
