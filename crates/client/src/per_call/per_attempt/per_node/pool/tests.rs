use std::{
    future::{Ready, ready},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use tokio::sync::Notify;
use tower_micro_call::{Body, BoxFuture, Error, ResponseBody};
use tower_micro_registry::Node;
use tower_micro_selector::Candidate;
use tower_service::Service;

use super::{Lent, Pool, Wanted};
use crate::{
    PoolOptions,
    per_call::per_attempt::per_node::connect::{Connect, State},
};

mod aging;

/// Connections that are numbers, and open when they are told to.
#[derive(Debug, Default)]
struct Numbers {
    opened: AtomicU32,
    refuses: AtomicBool,
    /// The rest are open from the start.
    opens_later: AtomicBool,
    closed: Mutex<Vec<u32>>,
    /// Those on which calls wait for a stream.
    crowded: Mutex<Vec<u32>>,
    /// Which ones were opened beside another one.
    beside: Mutex<Vec<(u32, u32)>>,
    may_open: Arc<Notify>,
}

#[derive(Clone, Debug)]
struct Number(u32, Arc<AtomicBool>);

impl Connect for Numbers {
    type Connection = Number;

    fn connect(&self, _: &Candidate, _: Option<Duration>) -> Result<Number, Error> {
        if self.refuses.load(SeqCst) {
            return Err(Error::transport("no"));
        }
        let number = self.opened.fetch_add(1, SeqCst) + 1;
        let waits = number > 1 && self.opens_later.load(SeqCst);
        Ok(Number(number, Arc::new(AtomicBool::new(!waits))))
    }

    fn beside(
        &self,
        other: &Number,
        node: &Candidate,
        timeout: Option<Duration>,
    ) -> Result<Number, Error> {
        let another = self.connect(node, timeout)?;
        self.beside.lock().unwrap().push((other.0, another.0));
        Ok(another)
    }

    fn state(&self, connection: &Number) -> State {
        if self.crowded.lock().unwrap().contains(&connection.0) {
            return State::Open { streams: 0 };
        }
        if self.closed.lock().unwrap().contains(&connection.0) {
            return State::Closed;
        }
        if connection.1.load(SeqCst) {
            return State::Open { streams: 3 };
        }
        State::Waiting
    }

    fn open(&self, connection: &Number) -> Option<BoxFuture<()>> {
        if !self.opens_later.load(SeqCst) {
            return None;
        }
        let (open, may_open) = (Arc::clone(&connection.1), Arc::clone(&self.may_open));
        Some(Box::pin(async move {
            may_open.notified().await;
            open.store(true, SeqCst);
        }))
    }
}

impl Service<Request<Body>> for Number {
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = Ready<Result<Response<ResponseBody>, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        ready(Ok(Response::new(ResponseBody::empty())))
    }
}

struct Scene {
    pool: Pool<Numbers>,
    connect: Numbers,
    options: PoolOptions,
    node: Arc<Candidate>,
    alone: bool,
}

impl Scene {
    fn new(options: PoolOptions) -> Self {
        Self {
            pool: Pool::default(),
            connect: Numbers::default(),
            options,
            node: Candidate::new(Node::new("a", "a:1")),
            alone: false,
        }
    }

    fn wanted(&self) -> Wanted<'_, Numbers> {
        Wanted {
            connect: &self.connect,
            node: &self.node,
            timeout: None,
            options: &self.options,
            alone: self.alone,
        }
    }

    fn try_lend(&self) -> Result<Lent<Number>, Error> {
        let wanted = self.wanted();
        match self.pool.nodes().ways_to(&self.node) {
            Some(ways) => self.pool.lend(ways, &wanted),
            None => self.pool.grow(&wanted),
        }
    }

    fn lend(&self) -> Lent<Number> {
        self.try_lend().unwrap()
    }

    /// Begins so many calls, and says on which connections.
    fn lend_many(&self, count: usize) -> (Vec<Lent<Number>>, Vec<u32>) {
        let lent: Vec<_> = (0..count).map(|_| self.lend()).collect();
        let numbers = lent.iter().map(|lent| lent.handle().0).collect();
        (lent, numbers)
    }

    fn sweep(&self) {
        self.pool.sweep(&self.connect, &self.options);
    }

    fn connections(&self) -> usize {
        let owned = self.pool.owned();
        owned.get("a:1").map_or(0, |node| node.connections.len())
    }
}

fn options() -> PoolOptions {
    PoolOptions {
        size: 2,
        max_streams: 2,
        max_idle: 2,
        ttl: None,
        second_at: None,
    }
}

#[tokio::test]
async fn calls_share_a_connection_until_it_is_full() {
    let scene = Scene::new(options());
    assert_eq!(scene.lend_many(3).1, [1, 1, 2]);
}

#[tokio::test]
async fn past_its_size_the_pool_gives_the_least_busy_one() {
    let scene = Scene::new(options());
    let (mut lent, numbers) = scene.lend_many(5);
    assert_eq!((scene.connect.opened.load(SeqCst), numbers[4]), (2, 1));
    lent.remove(4);
    lent.remove(0);
    assert_eq!(scene.lend().handle().0, 1);
}

#[tokio::test]
async fn a_node_that_allows_fewer_streams_gets_another_connection_sooner() {
    let mut options = options();
    options.max_streams = 100;
    assert_eq!(Scene::new(options).lend_many(4).1, [1, 1, 1, 2]);
}

#[tokio::test]
async fn a_call_does_not_wait_for_a_connection_that_is_opened_beside_its_own() {
    let scene = Scene::new(options());
    scene.connect.opens_later.store(true, SeqCst);
    let (_lent, numbers) = scene.lend_many(5);
    assert_eq!((numbers, scene.connections()), (vec![1; 5], 2));
    scene.connect.may_open.notify_one();
    tokio::task::yield_now().await;
    assert_eq!(scene.lend().handle().0, 2);
}

#[tokio::test]
async fn only_one_connection_at_a_time_is_being_opened() {
    let mut options = options();
    options.size = 4;
    let scene = Scene::new(options);
    scene.connect.opens_later.store(true, SeqCst);
    let _lent = scene.lend_many(20);
    assert_eq!(scene.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_has_ended_is_used_when_no_other_is_open() {
    let scene = Scene::new(options());
    let _lent = scene.lend_many(3);
    scene.connect.closed.lock().unwrap().push(1);
    assert_eq!(scene.lend_many(2).1, [2, 2]);
    scene.connect.closed.lock().unwrap().push(2);
    assert_eq!(scene.lend().handle().0, 1);
}

#[tokio::test]
async fn connections_that_carry_no_call_are_closed_but_for_those_that_may_idle() {
    let mut scene = Scene::new(options());
    drop(scene.lend_many(3));
    scene.sweep();
    scene.sweep();
    assert_eq!(scene.connections(), 2);
    scene.options.max_idle = 1;
    drop(scene.lend());
    scene.sweep();
    assert_eq!(
        scene.connections(),
        2,
        "one has just been used, and one may idle"
    );
    scene.sweep();
    assert_eq!(scene.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_is_being_opened_is_kept_though_none_may_idle() {
    let mut scene = Scene::new(options());
    scene.options.max_idle = 0;
    scene.connect.opens_later.store(true, SeqCst);
    let _lent = scene.lend_many(3);
    for _ in 0..3 {
        scene.sweep();
    }
    scene.connect.may_open.notify_one();
    tokio::task::yield_now().await;
    assert_eq!(scene.lend().handle().0, 2);
}

#[tokio::test]
async fn a_connection_that_has_ended_is_none_of_those_that_may_idle() {
    let mut scene = Scene::new(options());
    scene.options.max_idle = 1;
    drop(scene.lend_many(3));
    scene.connect.closed.lock().unwrap().push(1);
    scene.sweep();
    scene.sweep();
    assert_eq!(scene.lend().handle().0, 2);
}

#[tokio::test]
async fn a_smaller_size_is_kept_to_and_the_calls_that_are_there_go_on() {
    let mut scene = Scene::new(options());
    let (lent, numbers) = scene.lend_many(3);
    scene.options.size = 1;
    scene.sweep();
    assert_eq!((scene.connections(), numbers[2]), (1, 2));
    assert_eq!(lent[2].handle().0, 2, "it lives as long as its call");
    assert_eq!(scene.lend().handle().0, 1);
}

#[tokio::test]
async fn a_node_that_is_not_listed_any_more_is_forgotten_when_its_calls_have_ended() {
    let scene = Scene::new(options());
    let lent = scene.lend();
    scene.node.depart();
    scene.sweep();
    scene.sweep();
    assert_eq!(scene.connections(), 1);
    drop(lent);
    scene.sweep();
    assert!(!scene.pool.nodes().contains_key("a:1"));
}

#[tokio::test]
async fn a_node_that_comes_back_while_its_connections_are_used_is_there() {
    let mut scene = Scene::new(options());
    let early = scene.lend_many(3).0;
    scene.node.depart();
    scene.sweep();
    scene.node = Candidate::new(Node::new("a", "a:1"));
    let _late = scene.lend();
    drop(early);
    scene.sweep();
    scene.sweep();
    assert_eq!(scene.connections(), 2, "two may idle");
}

#[tokio::test]
async fn calls_to_many_nodes_find_them_before_and_after_they_are_published() {
    let mut scene = Scene::new(options());
    let nodes: Vec<_> = (0..1000)
        .map(|number| Candidate::at(&format!("b:{number}")))
        .collect();
    let mut published = 0;
    for _ in 0..2 {
        for (number, node) in (1..).zip(&nodes) {
            let before = scene.pool.nodes().version;
            scene.node = Arc::clone(node);
            assert_eq!(scene.lend().handle().0, number);
            published += scene.pool.nodes().version - before;
        }
        scene.sweep();
        assert_eq!(scene.pool.nodes().len(), nodes.len());
    }
    assert!(published < 200, "{published} times for 1000 nodes");
}

#[tokio::test]
async fn the_only_node_of_a_client_gets_a_second_connection_sooner_and_no_third() {
    let mut scene = Scene::new(PoolOptions {
        size: 3,
        max_streams: 100,
        second_at: Some(1),
        ..options()
    });
    let (_two, numbers) = scene.lend_many(2);
    assert_eq!(numbers, [1, 1], "there are other nodes");
    scene.alone = true;
    // Each of them allows three.
    let (_four, numbers) = scene.lend_many(4);
    assert!(numbers.contains(&2), "{numbers:?}");
    assert_eq!(scene.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_cannot_be_made_leaves_nothing() {
    let scene = Scene::new(options());
    scene.connect.refuses.store(true, SeqCst);
    assert!(scene.try_lend().is_err());
    scene.connect.refuses.store(false, SeqCst);
    assert_eq!(scene.lend().handle().0, 1);
}

#[tokio::test]
async fn calls_are_counted_once_however_many_know_of_their_connections() {
    let scene = Scene::new(options());
    let mut known = vec![scene.pool.nodes()];
    let (_two, numbers) = scene.lend_many(2);
    known.push(scene.pool.nodes());
    assert_eq!((numbers, scene.lend_many(1).1), (vec![1, 1], vec![2]));
    known.push(scene.pool.nodes());
    scene.sweep();
    assert_eq!(scene.lend_many(3).1, [2, 2, 1]);
}

#[tokio::test]
async fn who_has_not_looked_for_long_keeps_no_connection_open() {
    let scene = Scene::new(options());
    let lent = scene.lend();
    let open = Arc::downgrade(&lent.handle().1);
    let known = scene.pool.nodes();
    drop(lent);
    scene.node.depart();
    assert!(open.upgrade().is_some());
    scene.sweep();
    assert!(known.contains_key("a:1") && open.upgrade().is_none());
}

#[tokio::test]
async fn who_knows_of_a_connection_that_is_gone_gets_another() {
    let scene = Scene::new(options());
    drop(scene.lend());
    let known = scene.pool.nodes();
    scene.node.depart();
    scene.sweep();
    let wanted = scene.wanted();
    let lent = scene.pool.lend(known.get("a:1").unwrap(), &wanted).unwrap();
    assert_eq!((lent.handle().0, scene.connections()), (2, 1));
}

#[tokio::test]
async fn a_node_is_found_among_few_and_among_many_and_when_it_is_announced_anew() {
    let mut scene = Scene::new(options());
    let mut lent = vec![scene.lend()];
    for other in 1..=20 {
        scene.node = Candidate::at(&format!("b:{other}"));
        lent.push(scene.lend());
        scene.node = Candidate::at("a:1");
        lent.push(scene.lend());
        assert!(scene.connections() > 0);
        assert_eq!(scene.pool.nodes().len(), 1 + other);
        lent.drain(1..);
    }
    assert_eq!(scene.connect.opened.load(SeqCst), 21);
}
