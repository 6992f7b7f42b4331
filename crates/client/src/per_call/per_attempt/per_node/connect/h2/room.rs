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
        let streams = u32::try_from(streams).map_or(STREAMS, u64::from);
        let next = |word: u64| (word | STREAMS).wrapping_add(1) | streams;
        let opened = |word| Some(next(word));
        let before = self.0.fetch_update(SeqCst, SeqCst, opened);
        Opened {
            room: Arc::clone(self),
            word: next(before.unwrap_or_else(|word| word)),
        }
    }
}

/// The room of one connection.
#[derive(Debug)]
pub(super) struct Opened {
    room: Arc<Room>,
    word: u64,
}

impl Opened {
    /// It takes no more.
    pub(super) fn close(&self) {
        let closed = self.word & !STREAMS;
        // Another connection is there by now, or it was closed before.
        let _ = self
            .room
            .0
            .compare_exchange(self.word, closed, SeqCst, SeqCst);
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
}
