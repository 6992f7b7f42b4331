//! A request stream that more than one attempt can read.
//!
//! Frames are kept as they are read from the caller, without copying, so that another attempt can begin at the first one; two attempts
//! may read at once. What is kept is bounded, for a call and for all calls of a client together. Past the bound nothing fails: the
//! call is committed to the attempt that reads, as gRPC's retries are (gRFC A6, "When Retries are Valid"). What nobody can ask for any
//! more is given back at once. An attempt that takes the place of others of its [`Run`] cuts them off: a connection may go on reading for
//! an attempt that has failed, and would use up what is kept.

use std::{
    collections::VecDeque,
    fmt, mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker, ready},
};

use bytes::Bytes;
use http_body::Frame;
use tonic::Status;

use super::rest;

/// How many bytes may be kept, by one call and by all that share this.
#[derive(Debug)]
pub struct ReplayMemory {
    limit: usize,
    used: AtomicUsize,
}

impl ReplayMemory {
    /// At most `limit` bytes for all calls together.
    pub const fn new(limit: usize) -> Self {
        let used = AtomicUsize::new(0);
        Self { limit, used }
    }

    /// How many bytes are kept now.
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        let fits = |used: usize| Some(used + bytes).filter(|sum| *sum <= self.limit);
        self.used.fetch_update(Relaxed, Relaxed, fits).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Relaxed);
    }
}

impl Default for ReplayMemory {
    /// 64 MiB.
    fn default() -> Self {
        Self::new(64 * 1024 * 1024)
    }
}

/// One attempt's view of the stream. [`again`](Self::again) makes one that begins at the first frame.
pub(super) struct Reader {
    stream: Arc<Stream>,
    next: usize,
    place: Place,
}

/// The attempts of one call, of which a later one cuts off those before. A wrapper outside may do the call several times, which are runs of
/// their own.
#[derive(Default)]
struct Run {
    /// How often it was begun anew. It changes while the state of the stream is locked.
    turn: AtomicUsize,
    /// The attempt of another run within which this one is, and ends with it.
    within: Option<Place>,
}

/// An attempt of a run.
#[derive(Clone, Default)]
struct Place {
    run: Arc<Run>,
    turn: usize,
}

impl Place {
    /// The first attempt of a run within this one.
    fn run(self) -> Self {
        let run = Arc::new(Run {
            turn: AtomicUsize::new(0),
            within: Some(self),
        });
        Self { run, turn: 0 }
    }

    /// The attempt that takes the place of all that were begun before in its run.
    fn anew(&self) -> Self {
        Self {
            run: Arc::clone(&self.run),
            turn: self.run.turn.fetch_add(1, Relaxed) + 1,
        }
    }

    /// Whether another attempt has taken its place.
    fn is_cut_off(&self) -> bool {
        self.turn < self.run.turn.load(Relaxed)
            || self.run.within.as_ref().is_some_and(Self::is_cut_off)
    }
}

/// What all readers share.
struct Stream {
    state: Mutex<State>,
    readers: Arc<Readers>,
    memory: Arc<ReplayMemory>,
    limit: usize,
}

struct State {
    source: Source,
    /// Frames that were read.
    read: usize,
    /// All of them, unless more was read than may be kept: then none.
    kept: Vec<Bytes>,
    bytes: usize,
    committed: bool,
    /// Readers that live, read or not.
    readers: usize,
    /// Those of them that have read all that was read.
    up_to_date: usize,
}

enum Source {
    Reading {
        ahead: VecDeque<Frame<Bytes>>,
        rest: tonic::body::Body,
    },
    Ended,
    Failed(Box<Status>),
}

/// Everybody who waits for the next frame.
#[derive(Default)]
struct Readers(Mutex<Vec<Waker>>);

impl Wake for Readers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let waiting = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Reader {
    /// Keeps at most `limit` bytes of this stream.
    pub(super) fn new(
        ahead: VecDeque<Frame<Bytes>>,
        rest: tonic::body::Body,
        limit: usize,
        memory: Arc<ReplayMemory>,
    ) -> Self {
        let state = State {
            source: Source::Reading { ahead, rest },
            read: 0,
            kept: Vec::new(),
            bytes: 0,
            committed: false,
            readers: 0,
            up_to_date: 0,
        };
        let stream = Stream {
            state: Mutex::new(state),
            readers: Arc::default(),
            memory,
            limit,
        };
        Self::at_first(&Arc::new(stream), Place::default())
    }

    fn at_first(stream: &Arc<Stream>, place: Place) -> Self {
        stream.state().readers += 1;
        let stream = Arc::clone(stream);
        let next = 0;
        Self {
            stream,
            next,
            place,
        }
    }

    /// The stream from its first frame, unless more was read than is kept.
    pub(super) fn again(&self) -> Option<Self> {
        let committed = self.stream.state().committed;
        (!committed).then(|| Self::at_first(&self.stream, self.place.clone()))
    }

    /// The same, for a reader that takes the place of all of its run that have begun to read.
    pub(super) fn anew(&self) -> Option<Self> {
        let state = self.stream.state();
        if state.committed {
            return None;
        }
        let place = self.place.anew();
        drop(state);
        self.stream.readers.wake_by_ref();
        Some(Self::at_first(&self.stream, place))
    }

    /// This one becomes the first attempt of a run of its own.
    pub(super) fn begin_run(&mut self) {
        self.place = mem::take(&mut self.place).run();
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut state = self.stream.state();
        if self.place.is_cut_off() {
            return Poll::Ready(Some(Err(gone())));
        }
        if let Some(bytes) = state.kept.get(self.next) {
            let bytes = bytes.clone();
            self.next += 1;
            state.up_to_date += usize::from(self.next == state.read);
            self.stream.give_up_what_nobody_needs(&mut state);
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if self.next < state.read {
            return Poll::Ready(Some(Err(gone())));
        }
        let frame = ready!(self.stream.poll_source(&mut state, cx));
        if let Some(Ok(frame)) = &frame {
            self.next += 1;
            state.read += 1;
            state.up_to_date = 1;
            let bytes = frame.data_ref().cloned().unwrap_or_default();
            self.stream.keep(&mut state, bytes);
        }
        Poll::Ready(frame)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.stream.state();
        state.readers -= 1;
        state.up_to_date -= usize::from(state.read > 0 && self.next == state.read);
        self.stream.give_up_what_nobody_needs(&mut state);
    }
}

/// An attempt that fell behind another one which could not wait for it.
fn gone() -> Status {
    Status::aborted("the request went on with another attempt")
}

impl Stream {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll_source(
        &self,
        state: &mut State,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let next = match &mut state.source {
            Source::Ended => return Poll::Ready(None),
            Source::Failed(status) => return Poll::Ready(Some(Err(Status::clone(status)))),
            Source::Reading { ahead, rest } => match ahead.pop_front() {
                Some(frame) => Some(Ok(frame)),
                None => ready!(self.poll_rest(rest, cx)),
            },
        };
        match &next {
            None => state.source = Source::Ended,
            Some(Err(status)) => state.source = Source::Failed(Box::new(status.clone())),
            Some(Ok(_)) => {}
        }
        Poll::Ready(next)
    }

    /// Wakes every reader when there is more, whoever asked last.
    fn poll_rest(
        &self,
        rest: &mut tonic::body::Body,
        cx: &Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut waiting = self
            .readers
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        drop(waiting);
        let all = Waker::from(Arc::clone(&self.readers));
        rest::poll(rest, &mut Context::from_waker(&all))
    }

    /// Keeps `bytes` for those who come later, or gives up keeping anything.
    fn keep(&self, state: &mut State, bytes: Bytes) {
        if state.committed {
            return;
        }
        let size = bytes.len();
        if state.readers == 1 || state.bytes + size > self.limit || !self.memory.take(size) {
            self.commit(state);
            return;
        }
        state.bytes += size;
        state.kept.push(bytes);
    }

    /// The last reader needs nothing kept that it has read.
    fn give_up_what_nobody_needs(&self, state: &mut State) {
        if (state.readers, state.up_to_date) == (1, 1) && !state.committed {
            self.commit(state);
        }
    }

    fn commit(&self, state: &mut State) {
        state.committed = true;
        state.kept = Vec::new();
        self.memory.give_back(mem::take(&mut state.bytes));
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let bytes = self.state().bytes;
        self.memory.give_back(bytes);
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.stream.state();
        f.debug_struct("Reader")
            .field("next", &self.next)
            .field("bytes", &state.bytes)
            .field("committed", &state.committed)
            .finish()
    }
}
