//! What calls know of the connections.

use std::{
    collections::HashMap,
    ops::Deref,
    ptr,
    sync::{Arc, Weak},
};

use foldhash::fast::RandomState;
use smallvec::SmallVec;
use tokio::time::Instant;
use tower_micro_selector::Candidate;

use super::{
    Owned, Wanted,
    choice::{Choice, Shared, choose, limit},
    lent::{Connection, Lent},
};
use crate::per_call::per_attempt::per_node::connect::{Connect, State};

/// The nodes and the ways to them, as they were at one time.
///
/// Calls look here without a lock. It keeps neither a connection open nor a node in memory, so whoever does not need it for a while may
/// keep it.
pub(in super::super) struct Nodes<C> {
    pub(super) version: usize,
    by_address: ByAddress<C>,
    /// Where there are few, it costs less to look at each than to hash an address.
    few: Vec<(Weak<Candidate>, Arc<Ways<C>>)>,
}

type ByAddress<C> = HashMap<Arc<str>, Arc<Ways<C>>, RandomState>;

/// How many nodes are few.
const FEW: usize = 8;

impl<C> Nodes<C> {
    /// What follows this: `nodes`, as they are now. Calls to those that have departed come by the slow way, which sees whether they are
    /// back.
    pub(super) fn anew<K>(&self, nodes: &Owned<K>) -> Self
    where
        K: Connect<Connection = C>,
    {
        let there = nodes.iter().filter(|(_, node)| !node.has_departed());
        let ways = there.map(|(address, node)| (Arc::clone(address), node.ways()));
        let by_address: ByAddress<C> = ways.collect();
        let few = nodes.iter().take_while(|_| nodes.len() <= FEW);
        let few = few.filter_map(|(address, node)| {
            let ways = by_address.get(address)?;
            Some((Arc::downgrade(&node.candidate), Arc::clone(ways)))
        });
        Self {
            version: self.next_version(),
            few: few.collect(),
            by_address,
        }
    }

    /// The same with no nodes.
    pub(super) fn none(&self) -> Self {
        Self {
            version: self.next_version(),
            ..Self::default()
        }
    }

    const fn next_version(&self) -> usize {
        self.version.wrapping_add(1)
    }

    /// The ways to `node`, if it is known.
    pub(in super::super) fn ways_to(&self, node: &Arc<Candidate>) -> Option<&Ways<C>> {
        let is_it = |known: &Weak<Candidate>| ptr::eq(known.as_ptr(), Arc::as_ptr(node));
        let ways = match self.few.iter().find(|(known, _)| is_it(known)) {
            Some((_, ways)) => ways,
            // One of many, or one that has been announced anew.
            None => self.by_address.get(node.address.as_str())?,
        };
        Some(ways)
    }
}

impl<C> Default for Nodes<C> {
    fn default() -> Self {
        Self {
            version: 0,
            by_address: HashMap::default(),
            few: Vec::new(),
        }
    }
}

impl<C> Deref for Nodes<C> {
    type Target = ByAddress<C>;

    fn deref(&self) -> &ByAddress<C> {
        &self.by_address
    }
}

/// The connections to one node, none of which is kept open by this.
pub(in super::super) struct Ways<C>(SmallVec<[Weak<Connection<C>>; 1]>);

impl<C> Ways<C> {
    pub(super) fn to(connections: &[Arc<Connection<C>>]) -> Self {
        Self(connections.iter().map(Arc::downgrade).collect())
    }

    /// Whether these are the ways to `connections` and to no other.
    pub(super) fn lead_to(&self, connections: &[Arc<Connection<C>>]) -> bool {
        let ways = self.0.iter().map(Weak::as_ptr);
        ways.eq(connections.iter().map(Arc::as_ptr))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// A connection for one call, unless something is to be changed for it.
    pub(super) fn lend<K>(&self, wanted: &Wanted<'_, K>) -> Option<Lent<C>>
    where
        K: Connect<Connection = C>,
    {
        let connection = match self.least(wanted) {
            Some(least) => least,
            None => self.any(wanted)?,
        };
        Some(Lent::of(connection))
    }

    /// The one that carries fewest calls if it takes another: what nearly every call gets, for one reference that is counted.
    fn least<K>(&self, wanted: &Wanted<'_, K>) -> Option<Shared<K>>
    where
        K: Connect<Connection = C>,
    {
        let ways = self.0.iter();
        let ways = ways.filter_map(|way| Some((Connection::streams_of(way)?, way)));
        let (streams, way) = ways.min_by_key(|(streams, _)| *streams)?;
        if streams >= limit(wanted, self.len()) {
            return None;
        }
        let connection = way.upgrade()?;
        let now = wanted.options.ttl.map(|_| Instant::now());
        if connection.is_older(wanted.options, now) {
            return None;
        }
        match wanted.connect.state(&connection.inner) {
            State::Open { streams: room } if streams < room => Some(connection),
            _ => None,
        }
    }

    fn any<K>(&self, wanted: &Wanted<'_, K>) -> Option<Shared<K>>
    where
        K: Connect<Connection = C>,
    {
        let there = self.0.iter().filter_map(Weak::upgrade);
        match choose(wanted, self.len(), there) {
            Choice::Room(connection) | Choice::First(connection) => Some(connection),
            Choice::Full {
                least,
                closed,
                waiting,
            } => {
                let may_grow = closed.is_some() || self.len() < wanted.options.size;
                (waiting || !may_grow).then_some(least)
            }
            Choice::None => None,
        }
    }
}
