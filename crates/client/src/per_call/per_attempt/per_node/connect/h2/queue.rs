//! Calls that wait for a stream at a node, on whichever of its connections there is one first.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{
            AtomicU32, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    task::{Context, Poll, Waker},
};

use tokio::sync::oneshot;

use super::{
    link::{Link, Ticket},
    slot::Slot,
};

/// First come, first served. The connections of one node share it, and what the node has said of all of them.
#[derive(Default)]
pub(super) struct Queue {
    /// How often the node has said that it is pinged too often.
    complaints: AtomicU32,
    /// How many wait; who comes later looks here.
    length: AtomicUsize,
    places: Mutex<Places>,
    slots: Mutex<Vec<Weak<Slot>>>,
}

#[derive(Default)]
struct Places {
    next: u64,
    by_number: BTreeMap<u64, Waits>,
}

/// One who waits.
struct Waits {
    turn: oneshot::Sender<Turn>,
    /// For news of another kind than its turn.
    waker: Waker,
}

/// A stream for one who has waited: if it is not taken, the next one gets it.
pub(super) struct Turn {
    pub(super) link: Arc<Link>,
    pub(super) ticket: Ticket,
}

impl Queue {
    /// Streams of `slot` are for those who wait, too.
    pub(super) fn add(&self, slot: &Arc<Slot>) {
        let mut slots = self.slots();
        slots.retain(|slot| slot.strong_count() > 0);
        slots.push(Arc::downgrade(slot));
    }

    /// The node is pinged too often by a connection that knew of so many complaints. Several may end for the same reason.
    pub(super) fn complain(&self, known: u32) {
        self.complaints.fetch_max(known.saturating_add(1), Relaxed);
    }

    pub(super) fn complaints(&self) -> u32 {
        self.complaints.load(Relaxed)
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Weak<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length.load(SeqCst) == 0
    }

    /// Changes who waits.
    fn change<T>(&self, change: impl FnOnce(&mut Places) -> T) -> T {
        let mut places = self.places();
        let changed = change(&mut places);
        self.length.store(places.by_number.len(), SeqCst);
        changed
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the last place.
    pub(super) fn join(self: &Arc<Self>) -> Place {
        let (sender, turn) = oneshot::channel();
        let waits = Waits {
            turn: sender,
            waker: Waker::noop().clone(),
        };
        let (number, is_first) = self.change(|places| {
            let is_first = places.by_number.is_empty();
            places.next += 1;
            places.by_number.insert(places.next, waits);
            (places.next, is_first)
        });
        if is_first {
            self.look();
        }
        // A stream may have ended when nobody waited yet.
        self.serve();
        let queue = Arc::clone(self);
        Place {
            number,
            turn,
            queue,
        }
    }

    /// What the peers have said when nobody waited yet, of any connection, nobody has looked at.
    fn look(&self) {
        for slot in self.there() {
            if let Some(link) = slot.link() {
                link.look();
            }
        }
    }

    /// Gives streams that are free to those who wait. Whoever frees one does this after it.
    pub(super) fn serve(&self) {
        if self.is_empty() {
            return;
        }
        for slot in self.there() {
            self.serve_with(&slot);
        }
    }

    fn there(&self) -> Vec<Arc<Slot>> {
        self.slots().iter().filter_map(Weak::upgrade).collect()
    }

    fn serve_with(&self, slot: &Slot) {
        let Some(link) = slot.link() else { return };
        while !self.is_empty()
            && let Some(ticket) = link.ticket()
        {
            let first = self.change(|places| places.by_number.pop_first());
            let Some((_, first)) = first else { return };
            let link = link.get();
            // Who has just gone away leaves it to the next one.
            let _ = first.turn.send(Turn { link, ticket });
        }
    }

    /// Whether a connection takes requests, on which there may be a stream one day.
    pub(super) fn is_served(&self) -> bool {
        self.there().iter().any(|slot| slot.link().is_some())
    }

    /// Has all of them look whether that is their connection: one has closed. They keep their places.
    pub(super) fn wake(&self) {
        let places = self.places();
        let waits = places.by_number.values();
        let wakers: Vec<_> = waits.map(|waits| waits.waker.clone()).collect();
        drop(places);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// A place in the queue.
pub(super) struct Place {
    number: u64,
    turn: oneshot::Receiver<Turn>,
    queue: Arc<Queue>,
}

impl Place {
    /// Ready with a stream. Woken as well when a connection has closed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        if let Poll::Ready(Ok(turn)) = Pin::new(&mut self.turn).poll(cx) {
            return Poll::Ready(turn);
        }
        self.wake_by(cx.waker());
        Poll::Pending
    }

    /// The waker that is replaced is dropped without the lock: it may be the last that holds a task, which has a place of its own.
    fn wake_by(&self, waker: &Waker) {
        let mut places = self.queue.places();
        let replaced = match places.by_number.get_mut(&self.number) {
            Some(waits) if !waits.waker.will_wake(waker) => {
                Some(mem::replace(&mut waits.waker, waker.clone()))
            }
            _ => None,
        };
        drop(places);
        drop(replaced);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let left = |places: &mut Places| places.by_number.remove(&self.number);
        drop(self.queue.change(left));
    }
}
