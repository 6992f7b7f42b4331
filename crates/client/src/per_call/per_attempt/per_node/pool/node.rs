//! The connections of one node.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use arc_swap::ArcSwap;
use tokio::time::Instant;
use tower_micro_call::Error;
use tower_micro_selector::Candidate;

use super::{
    Wanted,
    lent::{Connection, Lent},
};
use crate::{
    PoolOptions,
    per_call::per_attempt::per_node::connect::{Connect, State},
};

type Shared<K> = Arc<Connection<<K as Connect>::Connection>>;

/// The connections of one node.
pub(in super::super) struct Connections<K: Connect> {
    open: ArcSwap<Vec<Shared<K>>>,
    /// Held while they change.
    changing: Mutex<()>,
    node: Arc<Candidate>,
    /// How often in a row it was looked at while no call was there.
    idle: AtomicU32,
}

/// Half an hour without a call, after which gRPC closes connections too (its `idle timeout`).
const LONG_IDLE: u32 = 360;

/// Which of them a call gets.
enum Choice<'a, K: Connect> {
    /// It carries fewest, and has room.
    Room(&'a Shared<K>),
    /// It carries fewest, and too many.
    Full {
        least: &'a Shared<K>,
        /// One that could be opened to help.
        closed: Option<&'a Shared<K>>,
        /// Whether one is being opened.
        waiting: bool,
    },
    /// None is open; this one is the first to be.
    First(&'a Shared<K>),
    None,
}

impl<K: Connect> Connections<K> {
    pub(super) fn of(node: &Arc<Candidate>) -> Self {
        Self {
            open: ArcSwap::default(),
            changing: Mutex::new(()),
            node: Arc::clone(node),
            idle: AtomicU32::new(0),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.open.load().len()
    }

    /// Whether nobody needs to know of the node any more.
    pub(super) fn is_forgotten(&self) -> bool {
        let open = self.open.load();
        !open.iter().any(|connection| connection.is_used())
            && (open.is_empty() || !self.is_wanted())
    }

    /// Whether there will be calls, as far as can be seen.
    fn is_wanted(&self) -> bool {
        !self.node.has_departed() && self.idle.load(Relaxed) < LONG_IDLE
    }

    /// A connection for one call.
    pub(in super::super) fn lend(
        &self,
        wanted: &Wanted<'_, K>,
    ) -> Result<Lent<K::Connection>, Error> {
        let options = wanted.options;
        let open = self.open.load();
        match choose(wanted, &open) {
            Choice::Room(connection) | Choice::First(connection) => Ok(Lent::of(connection)),
            Choice::Full {
                least,
                closed,
                waiting,
            } => {
                if !waiting && (closed.is_some() || open.len() < options.size) {
                    return self.grow(wanted);
                }
                Ok(Lent::of(least))
            }
            Choice::None => self.grow(wanted),
        }
    }

    /// The slow way: with the lock, one more connection if it is still wanted.
    fn grow(&self, wanted: &Wanted<'_, K>) -> Result<Lent<K::Connection>, Error> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let mut kept = self.young(wanted.options, now);
        let connection = match choose(wanted, &kept) {
            Choice::Room(connection) | Choice::First(connection) => {
                return Ok(Lent::of(connection));
            }
            Choice::Full {
                least,
                closed,
                waiting,
            } => {
                let lent = Lent::of(least);
                if let Some(closed) = closed {
                    open_by_itself(wanted.connect, closed);
                    return Ok(lent);
                }
                if waiting || kept.len() >= wanted.options.size {
                    return Ok(lent);
                }
                let connection = connected(wanted, now)?;
                let opens = open_by_itself(wanted.connect, &connection);
                kept.push(Arc::clone(&connection));
                self.open.store(Arc::new(kept));
                if opens {
                    return Ok(lent);
                }
                connection
            }
            Choice::None => {
                let connection = connected(wanted, now)?;
                kept.push(Arc::clone(&connection));
                self.open.store(Arc::new(kept));
                connection
            }
        };
        Ok(Lent::of(&connection))
    }

    fn young(&self, options: &PoolOptions, now: Instant) -> Vec<Shared<K>> {
        let open = self.open.load();
        open.iter()
            .filter(|connection| !connection.is_older(options, Some(now)))
            .cloned()
            .collect()
    }

    /// Lets go of what is not needed. Calls that are under way keep their connections.
    pub(super) fn sweep(&self, connect: &K, options: &PoolOptions) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.open.load();
        let is_used = before.iter().any(|connection| connection.is_used());
        let idle = self.idle.load(Relaxed).saturating_add(1);
        self.idle.store(if is_used { 0 } else { idle }, Relaxed);
        let max_idle = if self.is_wanted() {
            options.max_idle
        } else {
            0
        };
        let mut idle = 0;
        let mut kept = self.young(options, Instant::now());
        let several = kept.len() > 1;
        kept.retain(|connection| {
            if connection.take_use() {
                return true;
            }
            idle += 1;
            let is_broken = several && connect.state(&connection.inner) == State::Closed;
            idle <= max_idle && !is_broken
        });
        kept.truncate(options.size);
        if kept.len() < before.len() {
            self.open.store(Arc::new(kept));
        }
    }
}

fn connected<K: Connect>(wanted: &Wanted<'_, K>, now: Instant) -> Result<Shared<K>, Error> {
    let inner = wanted.connect.connect(wanted.node, wanted.timeout)?;
    Ok(Arc::new(Connection::new(inner, now)))
}

/// Opens it without a call, if it can be.
fn open_by_itself<K: Connect>(connect: &K, connection: &Shared<K>) -> bool {
    let opening = connect.open(&connection.inner);
    opening.is_some_and(|opening| {
        connection.open_by_itself(opening);
        true
    })
}

fn choose<'a, K: Connect>(wanted: &Wanted<'_, K>, among: &'a [Shared<K>]) -> Choice<'a, K> {
    let (connect, options) = (wanted.connect, wanted.options);
    let now = options.ttl.map(|_| Instant::now());
    let (mut least, mut closed, mut waiting): (Option<(&Shared<K>, usize, usize)>, _, _) =
        (None, None, None);
    for connection in among {
        if connection.is_older(options, now) {
            continue;
        }
        match connect.state(&connection.inner) {
            State::Open { streams: room } => {
                let streams = connection.streams();
                if least.is_none_or(|(_, fewest, _)| streams < fewest) {
                    least = Some((connection, streams, room));
                }
            }
            State::Waiting => waiting = waiting.or(Some(connection)),
            State::Closed => closed = closed.or(Some(connection)),
        }
    }
    match least {
        Some((least, streams, room)) if streams < room.min(mark(wanted, among.len())) => {
            Choice::Room(least)
        }
        Some((least, ..)) => Choice::Full {
            least,
            closed,
            waiting: waiting.is_some(),
        },
        None => waiting.or(closed).map_or(Choice::None, Choice::First),
    }
}

/// How many calls a connection carries before another is opened beside it.
fn mark<K: Connect>(wanted: &Wanted<'_, K>, open: usize) -> usize {
    let options = wanted.options;
    let second = options.second_at.filter(|_| wanted.alone && open == 1);
    second.map_or(options.max_streams, |second| {
        second.min(options.max_streams)
    })
}
