//! The place of one connection: empty, being filled, or holding an open one.

use std::{
    fmt,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use arc_swap::{ArcSwapOption, Guard};
use futures_util::FutureExt;
use tokio::time::Instant;
use tower_micro_call::{BoxFuture, Error};
use tower_micro_registry::Node;
use tower_micro_selector::TaskGuard;

use super::{
    super::State,
    H2, backoff,
    dialling::{Dialled, Dialling, WeakDialling},
    failure::{self, Failure},
    home::Home,
    link::Link,
    open::open,
    origin::Origin,
    queue::Queue,
    room::Room,
};
use crate::{panic::words_of, task};

pub(super) struct Slot {
    connect: H2,
    node: Node,
    origin: Origin,
    /// For a dial whose call says nothing of it.
    timeout: Duration,
    link: ArcSwapOption<Link>,
    /// What that allows.
    room: Arc<Room>,
    queue: Arc<Queue>,
    dials: Mutex<Dials>,
}

#[derive(Default)]
struct Dials {
    /// How many have begun. One that is let go of may end after the next has begun.
    begun: u64,
    current: Option<WeakDialling>,
    /// One after the other, without an open connection in between.
    failures: u32,
    last: Option<(Arc<Failure>, Instant)>,
    /// Whether the last one took longer than all its callers had, however little that was.
    given_up: bool,
    /// A task that waits for the current one, whose callers may all have less time than it takes.
    kept: Option<TaskGuard>,
}

impl Slot {
    /// One whose calls wait in `queue`, with those of other connections to the node.
    pub(super) fn new(
        connect: H2,
        node: Node,
        origin: Origin,
        timeout: Duration,
        queue: &Arc<Queue>,
    ) -> Arc<Self> {
        let slot = Arc::new(Self {
            connect,
            node,
            origin,
            timeout,
            link: ArcSwapOption::empty(),
            room: Arc::default(),
            queue: Arc::clone(queue),
            dials: Mutex::default(),
        });
        queue.add(&slot);
        slot
    }

    pub(super) const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The connection, if it takes requests as far as is known.
    pub(super) fn link(&self) -> Option<OpenLink> {
        let link = self.link.load();
        let is_open = link.as_ref().is_some_and(|link| link.is_open());
        is_open.then_some(OpenLink(link))
    }

    /// Whether no call is on the connection, or there is none that takes any.
    pub(super) fn is_idle(&self) -> bool {
        self.link().is_none_or(|link| link.is_idle())
    }

    pub(super) const fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    pub(super) fn state(&self) -> State {
        if let Some(streams) = self.room.streams() {
            // Where calls wait there is room for none.
            let streams = if self.queue.is_empty() { streams } else { 0 };
            return State::Open { streams };
        }
        let dials = self.dials();
        let under_way = dials.under_way();
        let waits = under_way.is_some() || dials.not_yet().is_some();
        // This may be the last by now who waits for the dial, and that takes the lock.
        drop(dials);
        if waits { State::Waiting } else { State::Closed }
    }

    /// Waits until there is a connection.
    pub(super) async fn opened(self: Arc<Self>) -> Result<(), Error> {
        if self.link().is_some() {
            return Ok(());
        }
        let opened = self.dial(None)?.await;
        opened
            .map(drop)
            .map_err(|failure| failure::failed(&failure))
    }

    /// The dial under way, or the next one, which has `timeout`.
    pub(super) fn dial(self: &Arc<Self>, timeout: Option<Duration>) -> Result<Dialling, Error> {
        let mut dials = self.dials();
        if let Some(dialling) = dials.under_way() {
            return Ok(dialling);
        }
        if let Some(link) = self.link() {
            // It has been opened since the caller looked.
            return Ok(Dialling::ended(link.get()));
        }
        if let Some(failure) = dials.not_yet() {
            return Err(failure::not_yet(failure));
        }
        dials.begun += 1;
        let timeout = timeout.unwrap_or(self.timeout);
        let dialling = Dialling::begin(self, dials.begun, self.begin(dials.begun, timeout));
        // The last who waited for the one before is on its way to say that it is given up.
        dials.given_up |= dials.current.is_some();
        dials.current = dialling.downgrade();
        dials.kept = None;
        if dials.given_up {
            dials.keep(&dialling);
        }
        Ok(dialling)
    }

    /// Whether any connection of its connector is open, to whichever node.
    pub(super) fn has_company(&self) -> bool {
        self.connect.open.is_any()
    }

    /// Lets the dial under way go on though those who wait for it do so no longer.
    pub(super) fn keep(&self, dialling: &Dialling) {
        self.dials().keep(dialling);
    }

    /// The `number`th dial, which does not keep its place.
    fn begin(self: &Arc<Self>, number: u64, timeout: Duration) -> BoxFuture<Dialled> {
        let (connect, node) = (self.connect.clone(), self.node.clone());
        let (room, queue) = (Arc::clone(&self.room), Arc::clone(&self.queue));
        let opening = async move { open(&connect, &node, timeout, &room, &queue).await };
        Box::pin(dialled(Arc::downgrade(self), number, opening))
    }

    fn connected(&self, link: &Arc<Link>) {
        self.link.store(Some(Arc::clone(link)));
        let mut dials = self.dials();
        *dials = Dials {
            begun: dials.begun,
            ..Dials::default()
        };
        drop(dials);
        self.queue.serve();
    }

    /// The state of the dials, if the `number`th is the latest, and has not ended.
    fn dials_at(&self, number: u64) -> Option<MutexGuard<'_, Dials>> {
        Some(self.dials()).filter(|dials| dials.begun == number && dials.current.is_some())
    }

    /// The `number`th dial has ended, by `failure` if that says something of the node.
    fn failed(&self, number: u64, failure: Option<&Arc<Failure>>) {
        let Some(mut dials) = self.dials_at(number) else {
            return;
        };
        dials.current = None;
        dials.kept = None;
        if let Some(failure) = failure {
            dials.fail(failure);
        }
    }

    /// Nobody waits for the dial any longer. Only if they have waited for a while it is held against the node.
    pub(super) fn given_up(&self, number: u64, waited: Duration) {
        let Some(mut dials) = self.dials_at(number) else {
            return;
        };
        dials.current = None;
        dials.kept = None;
        if waited > backoff::PATIENCE {
            dials.fail(&Arc::new(Failure::Abandoned(waited)));
        }
        dials.given_up = true;
    }

    fn dials(&self) -> MutexGuard<'_, Dials> {
        self.dials.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What comes of `opening`, for those who wait and for `slot`.
async fn dialled(
    slot: Weak<Slot>,
    number: u64,
    opening: impl Future<Output = Result<Arc<Link>, Failure>>,
) -> Dialled {
    let home = Home::here();
    // Whoever waits beside would wait for ever if it unwound from here.
    let end = AssertUnwindSafe(home.poll_in(opening)).catch_unwind().await;
    let end = end.unwrap_or_else(|panic| Err(Failure::Panicked(words_of(&*panic))));
    // It says nothing of the node.
    let is_homeless = end.is_err() && home.has_ended();
    let end = end.map_err(|failure| {
        Arc::new(if is_homeless {
            Failure::Homeless
        } else {
            failure
        })
    });
    if let Some(slot) = slot.upgrade() {
        match &end {
            Ok(link) => slot.connected(link),
            Err(failure) => slot.failed(number, Some(failure).filter(|_| !is_homeless)),
        }
    }
    end
}

impl Dials {
    fn under_way(&self) -> Option<Dialling> {
        self.current.as_ref().and_then(WeakDialling::upgrade)
    }

    /// Lets `dialling` go on, if it is the current one, until its runtime ends. The caller holds it: the last who waits takes the lock.
    fn keep(&mut self, dialling: &Dialling) {
        if self.kept.is_none() && self.current.is_some() && dialling.is_at(self.begun) {
            self.kept = task::spawn(Box::pin(dialling.clone().map(drop))).ok();
        }
    }

    fn fail(&mut self, failure: &Arc<Failure>) {
        self.failures = self.failures.saturating_add(1);
        self.given_up = false;
        let next = Instant::now() + backoff::after(self.failures);
        self.last = Some((Arc::clone(failure), next));
    }

    /// Why the last dial failed, if it is too early for the next one.
    fn not_yet(&self) -> Option<&Arc<Failure>> {
        let (failure, next) = self.last.as_ref()?;
        (Instant::now() < *next).then_some(failure)
    }
}

/// A connection that was open a moment ago.
pub(super) struct OpenLink(Guard<Option<Arc<Link>>>);

impl OpenLink {
    pub(super) fn get(&self) -> Arc<Link> {
        self.0.clone().expect("it is there, or this were not made")
    }
}

impl std::ops::Deref for OpenLink {
    type Target = Link;

    fn deref(&self) -> &Link {
        self.0.as_ref().expect("it is there, or this were not made")
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("node", &self.node.address)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{OnceLock, mpsc},
        task::Waker,
        thread,
    };

    use http::HeaderValue;
    use tokio::{io::DuplexStream, runtime, time::advance};

    use super::*;

    /// Few of them find a moment at which somebody could wait for itself.
    const ROUNDS: usize = 3_000;

    /// A place whose dials never end.
    fn slot() -> Arc<Slot> {
        slot_of(H2::new().dial(|_: &Node| std::future::pending::<io::Result<DuplexStream>>()))
    }

    fn slot_of(connect: H2) -> Arc<Slot> {
        let origin = Origin::new(false, "a:1".parse().unwrap(), HeaderValue::from_static("a"));
        let node = Node::new("a", "a:1");
        Slot::new(connect, node, origin, Duration::MAX, &Arc::default())
    }

    /// Something of a dial that begins another when it is let go of.
    struct Successor {
        slot: Arc<OnceLock<Arc<Slot>>>,
        dialling: Arc<Mutex<Option<Dialling>>>,
    }

    impl Drop for Successor {
        fn drop(&mut self) {
            let mut next = self.dialling.lock().unwrap();
            if next.is_none() {
                *next = self.slot.get().and_then(|slot| slot.dial(None).ok());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_dial_that_is_let_go_of_leaves_the_one_that_has_begun_since_alone() {
        let (place, next) = (Arc::default(), Arc::default());
        let (of_dial, of_next) = (Arc::clone(&place), Arc::clone(&next));
        let slot = slot_of(H2::new().dial(move |_: &Node| {
            let successor = Successor {
                slot: Arc::clone(&of_dial),
                dialling: Arc::clone(&of_next),
            };
            async move {
                let _successor = successor;
                std::future::pending::<io::Result<DuplexStream>>().await
            }
        }));
        assert!(place.set(Arc::clone(&slot)).is_ok());
        let mut dialling = slot.dial(None).unwrap();
        let mut context = std::task::Context::from_waker(Waker::noop());
        assert!(dialling.poll_unpin(&mut context).is_pending());
        advance(backoff::PATIENCE / 2).await;
        drop(dialling);
        // Its task lets go of it meanwhile.
        tokio::task::yield_now().await;
        let next: Option<Dialling> = next.lock().unwrap().take();
        let is_under_way = slot.dial(None).unwrap();
        assert!(is_under_way.is(&next.unwrap()));
    }

    #[test]
    fn a_dial_that_goes_on_by_itself_ends_with_its_runtime() {
        let runtime = || {
            let mut runtime = runtime::Builder::new_current_thread();
            runtime.enable_time().build().unwrap()
        };
        let slot = slot();
        let first = runtime();
        first.block_on(async {
            let dialling = slot.dial(None).unwrap();
            slot.keep(&dialling);
        });
        assert_eq!(slot.state(), State::Waiting);
        drop(first);
        assert_eq!(slot.state(), State::Closed);
        runtime().block_on(async { assert!(slot.dial(None).is_ok()) });
    }

    /// Looks at `slot` while its only dial is dropped, which has been waited for so long.
    fn looked_at_while_dropped(slot: &Arc<Slot>, waited: Duration, runtime: &runtime::Runtime) {
        let _entered = runtime.enter();
        let mut dialling = slot.dial(None).unwrap();
        let mut context = std::task::Context::from_waker(Waker::noop());
        assert!(dialling.poll_unpin(&mut context).is_pending());
        runtime.block_on(advance(waited));
        thread::scope(|scope| {
            scope.spawn(|| {
                let _entered = runtime.enter();
                while !slot.dials().given_up {
                    let _ = slot.state();
                    thread::yield_now();
                }
            });
            thread::yield_now();
            drop(dialling);
        });
    }

    #[test]
    fn a_place_may_be_looked_at_while_the_last_who_waits_for_its_dial_goes_away() {
        let (done, is_done) = mpsc::channel();
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_time().start_paused(true).build();
            let runtime = runtime.unwrap();
            for _ in 0..ROUNDS {
                for waited in [backoff::PATIENCE / 2, backoff::PATIENCE * 2] {
                    looked_at_while_dropped(&slot(), waited, &runtime);
                }
                done.send(()).unwrap();
            }
        });
        for _ in 0..ROUNDS {
            let patience = Duration::from_secs(20);
            is_done
                .recv_timeout(patience)
                .expect("nobody waits for itself");
        }
    }
}
