//! What the client has said on one connection.

use std::collections::BTreeMap;

use super::frame;

/// All of it, as far as scripts can ask for it.
#[derive(Debug)]
pub(super) struct Heard {
    /// Whether SETTINGS have come.
    pub(super) settings: bool,
    pub(super) streams: BTreeMap<u32, Stream>,
    window: i64,
    /// The window of a stream that begins.
    initial: i64,
}

/// One request.
#[derive(Debug)]
pub(super) struct Stream {
    /// The whole of it has come.
    pub(super) ended: bool,
    /// The client does not want an answer any more.
    pub(super) reset: bool,
    window: i64,
}

impl Default for Heard {
    fn default() -> Self {
        Self {
            settings: false,
            streams: BTreeMap::new(),
            window: frame::WINDOW,
            initial: frame::WINDOW,
        }
    }
}

impl Heard {
    pub(super) fn begin(&mut self, id: u32) {
        let stream = Stream {
            ended: false,
            reset: false,
            window: self.initial,
        };
        self.streams.insert(id, stream);
    }

    pub(super) fn set(&mut self, settings: &[u8]) {
        self.settings = true;
        for setting in settings.chunks_exact(6) {
            let (name, value) = setting.split_at(2);
            if name == frame::INITIAL_WINDOW_SIZE.to_be_bytes() {
                self.set_initial(i64::from(frame::number(value)));
            }
        }
    }

    fn set_initial(&mut self, window: i64) {
        let more = window - self.initial;
        self.initial = window;
        for stream in self.streams.values_mut() {
            stream.window += more;
        }
    }

    /// Widens the window of a stream, or of the connection if `id` is 0.
    pub(super) fn widen(&mut self, id: u32, by: u32) {
        let window = match id {
            0 => Some(&mut self.window),
            id => self.streams.get_mut(&id).map(|stream| &mut stream.window),
        };
        if let Some(window) = window {
            *window += i64::from(by);
        }
    }

    /// How much may be sent on a stream now; `None` if it is over.
    pub(super) fn room(&self, id: u32) -> Option<usize> {
        let stream = self.streams.get(&id).filter(|stream| !stream.reset)?;
        let room = stream.window.min(self.window);
        Some(usize::try_from(room).unwrap_or(0))
    }

    pub(super) fn spend(&mut self, id: u32, bytes: usize) {
        let bytes = i64::try_from(bytes).expect("no more than there was room for");
        self.window -= bytes;
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.window -= bytes;
        }
    }
}
