//! The connections of one node.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tower_micro_call::Error;
use tower_micro_selector::Candidate;

use super::{
    Wanted,
    choice::{Choice, Shared, choose},
    lent::{Connection, Lent},
    ways::Ways,
};
use crate::{
    PoolOptions,
    per_call::per_attempt::per_node::connect::{Connect, State},
};

/// Half an hour without a call, after which gRPC closes connections too (its `idle timeout`).
const LONG_IDLE: u32 = 360;

/// The connections of one node, which are open as long as they are here or carry a call.
pub(super) struct Node<K: Connect> {
    pub(super) connections: Vec<Shared<K>>,
    /// Those that take no new call, and carry some. Others are opened beside them: a call that waits on one of these goes to whichever has
    /// room.
    old: Vec<Shared<K>>,
    pub(super) candidate: Arc<Candidate>,
    /// How often in a row it was looked at while no call was there.
    idle: u32,
}

impl<K: Connect> Node<K> {
    pub(super) fn of(candidate: &Arc<Candidate>) -> Self {
        Self {
            connections: Vec::new(),
            old: Vec::new(),
            candidate: Arc::clone(candidate),
            idle: 0,
        }
    }

    /// What calls are to know of them.
    pub(super) fn ways(&self) -> Arc<Ways<K::Connection>> {
        Arc::new(Ways::to(&self.connections))
    }

    fn all(&self) -> impl Iterator<Item = &Shared<K>> {
        self.connections.iter().chain(&self.old)
    }

    fn is_used(&self) -> bool {
        self.all().any(Connection::is_used)
    }

    /// Whether nobody needs to know of the node any more.
    pub(super) fn is_forgotten(&self) -> bool {
        !self.is_used() && (self.connections.is_empty() || !self.is_wanted())
    }

    /// Whether there will be calls, as far as can be seen.
    fn is_wanted(&self) -> bool {
        !self.has_departed() && self.idle < LONG_IDLE
    }

    pub(super) fn has_departed(&self) -> bool {
        self.candidate.has_departed()
    }

    /// A connection for one call; one more than there are if it is wanted.
    pub(super) fn grow(&mut self, wanted: &Wanted<'_, K>) -> Result<Lent<K::Connection>, Error> {
        if self.has_departed() {
            // It may be back, as another that is known at the same address.
            self.candidate = Arc::clone(wanted.node);
        }
        let now = Instant::now();
        self.part_with_older(wanted.options, now);
        let count = self.connections.len();
        let connection = match choose(wanted, count, self.connections.iter().cloned()) {
            Choice::Room(connection) | Choice::First(connection) => connection,
            Choice::Full {
                least,
                closed: Some(closed),
                ..
            } => {
                open_by_itself(wanted.connect, &closed);
                least
            }
            Choice::Full { least, waiting, .. } if waiting || count >= wanted.options.size => least,
            Choice::Full { least, .. } => {
                let another = self.connect(wanted.connect, wanted.node, wanted.timeout, now)?;
                let opens = open_by_itself(wanted.connect, &another);
                if opens { least } else { another }
            }
            Choice::None => self.connect(wanted.connect, wanted.node, wanted.timeout, now)?,
        };
        Ok(Lent::of(connection))
    }

    fn connect(
        &mut self,
        connect: &K,
        to: &Candidate,
        timeout: Option<Duration>,
        now: Instant,
    ) -> Result<Shared<K>, Error> {
        let inner = match self.all().next() {
            Some(other) => connect.beside(&other.inner, to, timeout)?,
            None => connect.connect(to, timeout)?,
        };
        let connection = Connection::new(inner, now);
        self.connections.push(Arc::clone(&connection));
        Ok(connection)
    }

    /// Those that are too old are kept apart while they carry calls.
    fn part_with_older(&mut self, options: &PoolOptions, now: Instant) {
        let is_older = |connection: &mut Shared<K>| connection.is_older(options, Some(now));
        self.old.extend(self.connections.extract_if(.., is_older));
        self.old.retain(|connection| connection.streams() > 0);
    }

    /// Lets go of what is not needed. Calls that are under way keep their connections.
    pub(super) fn sweep(&mut self, connect: &K, options: &PoolOptions) {
        self.idle = if self.is_used() {
            0
        } else {
            self.idle.saturating_add(1)
        };
        let max_idle = if self.is_wanted() {
            options.max_idle
        } else {
            0
        };
        let mut idle = 0;
        self.part_with_older(options, Instant::now());
        let mut left = self.connections.len();
        self.connections.retain(|connection| {
            if connection.take_use() || !connect.is_idle(&connection.inner) {
                return true;
            }
            match connect.state(&connection.inner) {
                // For calls that wait elsewhere meanwhile.
                State::Waiting => return true,
                // One stays, which knows what the node has said.
                State::Closed if left > 1 => {
                    left -= 1;
                    return false;
                }
                _ => {}
            }
            idle += 1;
            idle <= max_idle
        });
        self.connections.truncate(options.size);
        if self.connections.len() < options.size && self.is_crowded(connect) {
            self.open_another(connect);
        }
    }

    /// Whether calls wait, and nothing is being done about it.
    fn is_crowded(&self, connect: &K) -> bool {
        let full = State::Open { streams: 0 };
        let is_called = self.is_used() && !self.has_departed();
        let mut all = self.all();
        is_called && all.all(|connection| connect.state(&connection.inner) == full)
    }

    /// For calls that came together and wait for what they were given: no other call need come.
    fn open_another(&mut self, connect: &K) {
        let to = Arc::clone(&self.candidate);
        // A node that cannot be connected to has no calls.
        if let Ok(another) = self.connect(connect, &to, None, Instant::now()) {
            open_by_itself(connect, &another);
        }
    }
}

/// Opens it without a call, if it can be.
fn open_by_itself<K: Connect>(connect: &K, connection: &Shared<K>) -> bool {
    let opening = connect.open(&connection.inner);
    opening.is_some_and(|opening| {
        connection.open_by_itself(opening);
        true
    })
}
