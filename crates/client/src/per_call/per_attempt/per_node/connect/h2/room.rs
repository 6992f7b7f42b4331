//! How many streams a slot allows, for whoever does not need its connection: one load, and no reference is counted.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

/// What a slot's latest connection allows; nothing once that has closed. The number of the connection above, the streams below, in one
/// word: a connection that closes late leaves its successor alone.
#[derive(Debug, Default)]
pub(super) struct Room(AtomicU64);

/// The lower half of the word.
const STREAMS: u64 = u32::MAX as u64;

impl Room {
    /// How many streams, if any can be opened.
    pub(super) fn streams(&self) -> Option<usize> {
        let streams = self.0.load(SeqCst) & STREAMS;
        (streams > 0).then_some(streams as usize)
    }

    /// A connection has been opened that allows so many.
    pub(super) fn open(self: &Arc<Self>, streams: usize) -> Opened {
        let next = |word: u64| (word | STREAMS).wrapping_add(1) | lower(streams);
        let opened = |word| Some(next(word));
        let before = self.0.fetch_update(SeqCst, SeqCst, opened);
        Opened {
            room: Arc::clone(self),
            number: next(before.unwrap_or_else(|word| word)) & !STREAMS,
        }
    }
}

/// At least one: a peer that allows none for a while is there.
fn lower(streams: usize) -> u64 {
    u32::try_from(streams.max(1)).map_or(STREAMS, u64::from)
}

/// The room of one connection.
#[derive(Debug)]
pub(super) struct Opened {
    room: Arc<Room>,
    /// The upper half of the word.
    number: u64,
}

impl Opened {
    /// It allows so many now.
    pub(super) fn allow(&self, streams: usize) {
        self.set(lower(streams));
    }

    /// It takes no more.
    pub(super) fn close(&self) {
        self.set(0);
    }

    fn set(&self, streams: u64) {
        let set = |word: u64| {
            let is_open = word & STREAMS > 0 && word & !STREAMS == self.number;
            is_open.then_some(self.number | streams)
        };
        // Another connection is there by now, or it was closed before.
        let _ = self.room.0.fetch_update(SeqCst, SeqCst, set);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_from_when_a_connection_is_open_until_it_closes() {
        let room = Arc::new(Room::default());
        assert_eq!(room.streams(), None);
        let opened = room.open(100);
        assert_eq!(room.streams(), Some(100));
        opened.close();
        assert_eq!(room.streams(), None);
    }

    #[test]
    fn a_connection_that_closes_late_leaves_its_successor_alone() {
        let room = Arc::new(Room::default());
        let first = room.open(100);
        let second = room.open(100);
        first.close();
        assert_eq!(room.streams(), Some(100));
        second.close();
        assert_eq!(room.streams(), None);
    }

    #[test]
    fn a_peer_that_sets_no_limit_has_room() {
        let room = Arc::new(Room::default());
        room.open(usize::MAX);
        assert_eq!(room.streams(), Some(u32::MAX as usize));
        room.open(1);
        assert_eq!(room.streams(), Some(1));
    }

    #[test]
    fn a_peer_may_change_its_mind_until_its_connection_closes() {
        let room = Arc::new(Room::default());
        let first = room.open(100);
        for (streams, seen) in [(1, 1), (0, 1), (200, 200)] {
            first.allow(streams);
            assert_eq!(room.streams(), Some(seen));
        }
        first.close();
        first.allow(9);
        assert_eq!(room.streams(), None);
        room.open(2);
        first.allow(9);
        assert_eq!(room.streams(), Some(2));
    }
}
