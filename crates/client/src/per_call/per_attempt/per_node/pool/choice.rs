//! Which connection a call gets.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Wanted, lent::Connection};
use crate::per_call::per_attempt::per_node::connect::{Connect, State};

pub(super) type Shared<K> = Arc<Connection<<K as Connect>::Connection>>;

/// What there is to choose from.
pub(super) enum Choice<K: Connect> {
    /// It carries fewest, and has room.
    Room(Shared<K>),
    /// It carries fewest, and too many.
    Full {
        least: Shared<K>,
        /// One that could be opened to help.
        closed: Option<Shared<K>>,
        /// Whether one is being opened.
        waiting: bool,
    },
    /// None is open; this one is the first to be.
    First(Shared<K>),
    None,
}

/// Looks at `among`, which are `count`.
pub(super) fn choose<K: Connect>(
    wanted: &Wanted<'_, K>,
    count: usize,
    among: impl Iterator<Item = Shared<K>>,
) -> Choice<K> {
    let (connect, options) = (wanted.connect, wanted.options);
    let now = options.ttl.map(|_| Instant::now());
    let (mut least, mut closed, mut waiting): (Option<(Shared<K>, usize, usize)>, _, _) =
        (None, None, None);
    for connection in among {
        if connection.is_older(options, now) {
            continue;
        }
        match connect.state(&connection.inner) {
            State::Open { streams: room } => {
                let streams = connection.streams_beside();
                if least
                    .as_ref()
                    .is_none_or(|(_, fewest, _)| streams < *fewest)
                {
                    least = Some((connection, streams, room));
                }
            }
            State::Waiting => waiting = waiting.or(Some(connection)),
            State::Closed => closed = closed.or(Some(connection)),
        }
    }
    match least {
        Some((least, streams, room)) if streams < room.min(limit(wanted, count)) => {
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
pub(super) fn limit<K: Connect>(wanted: &Wanted<'_, K>, open: usize) -> usize {
    let options = wanted.options;
    let second = options.second_at.filter(|_| wanted.alone && open == 1);
    second.map_or(options.max_streams, |second| {
        second.min(options.max_streams)
    })
}
