//! The request body of a call, and what makes it possible to send it twice.
//!
//! A generated client hands over a stream of frames, even for a unary call. [`Replay::capture`] polls that stream until it has to
//! wait. A unary message is there at once, so the body becomes one [`Bytes`]: a copy for the next attempt costs a reference
//! count, and END_STREAM travels on the DATA frame. A body that is not complete yet keeps its frames in order and can be sent once.
//!
//! # Units and defaults
//! Frames are taken in advance until there are 64 KiB of them, the first two whatever their size; each is kept whole.
//!
//! # Example
//! ```
//! use bytes::Bytes;
//! use tower_micro_call::{Body, Replay};
//!
//! let message = tonic::body::Body::new(http_body_util::Full::new(Bytes::from_static(b"hello")));
//! let body = message.capture();
//! let again = body.replay().expect("the body was complete");
//! # let _ = again;
//! ```
//!
//! A stream can be made replayable within bounds: see [`Body::replayable`].

mod shared;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;

use shared::Reader;
pub use shared::ReplayMemory;

/// Bytes taken in advance from a body that has not ended.
const AHEAD: usize = 64 * 1024;

/// A request body inside of the onion. See the [module docs](self).
#[derive(Default)]
pub struct Body {
    kind: Kind,
}

/// A request is handed from layer to layer with its body: what is rare has a box, so that the body is no larger than [`Bytes`].
enum Kind {
    Once(Bytes),
    Other(Option<Box<Other>>),
}

/// What is not one run of bytes; nothing at all has no box.
enum Other {
    Pending {
        ahead: VecDeque<Frame<Bytes>>,
        rest: tonic::body::Body,
    },
    Shared(Reader),
    Failed(Status),
}

impl Default for Kind {
    fn default() -> Self {
        Self::Other(None)
    }
}

impl From<Other> for Body {
    fn from(other: Other) -> Self {
        let kind = Kind::Other(Some(Box::new(other)));
        Self { kind }
    }
}

/// A body type that retry can take apart and build again.
pub trait Replay: HttpBody<Data = Bytes> + Default + Send + 'static {
    /// Takes what is there without waiting.
    fn capture(self) -> Body;

    /// Makes a body of this type from one that was captured.
    fn restore(body: Body) -> Self;

    /// Whether all of it is there; `None` if that cannot be seen from outside.
    fn has_ended(&self) -> Option<bool> {
        None
    }

    /// The same body once more, if all of it is there and that can be seen from outside.
    fn whole(&self) -> Option<Body> {
        None
    }
}

impl Replay for Body {
    fn capture(self) -> Body {
        self
    }

    fn restore(body: Body) -> Self {
        body
    }

    fn has_ended(&self) -> Option<bool> {
        Some(self.is_complete())
    }

    fn whole(&self) -> Option<Body> {
        self.is_complete().then(|| self.replay()).flatten()
    }
}

impl Replay for tonic::body::Body {
    fn capture(self) -> Body {
        drain(self)
    }

    fn restore(body: Body) -> Self {
        match body.kind {
            Kind::Other(Some(other)) => match *other {
                Other::Pending { ahead, rest } if ahead.is_empty() => rest,
                other => Self::new(Body::from(other)),
            },
            _ => Self::new(body),
        }
    }
}

impl Body {
    /// A body without a byte.
    pub const fn empty() -> Self {
        let kind = Kind::Other(None);
        Self { kind }
    }

    /// The same body once more, or `None` if it cannot begin again: it failed, or it had not ended when it was captured
    /// and is not [`replayable`](Self::replayable), or no longer.
    pub fn replay(&self) -> Option<Self> {
        let kind = match &self.kind {
            Kind::Once(bytes) => Kind::Once(bytes.clone()),
            Kind::Other(None) => Kind::Other(None),
            Kind::Other(Some(other)) => return other.replay(),
        };
        Some(Self { kind })
    }

    /// The same, for an attempt that takes the place of those before: of a stream they read nothing more.
    pub fn replay_anew(&self) -> Option<Self> {
        match self.reader() {
            Some(reader) => Some(Other::Shared(reader.anew()?).into()),
            None => self.replay(),
        }
    }

    /// A body that has not ended, as one that [`replay`](Self::replay) can begin again as long as at most `limit` bytes of it were
    /// read and `memory` has room for them. Past either bound it goes on, and cannot begin again. Any other body stays as it is.
    #[must_use]
    pub fn replayable(self, limit: usize, memory: &Arc<ReplayMemory>) -> Self {
        let other = match self.kind {
            Kind::Other(Some(other)) if limit > 0 => other,
            kind => return Self { kind },
        };
        match *other {
            Other::Pending { ahead, rest } => {
                Other::Shared(Reader::new(ahead, rest, limit, Arc::clone(memory))).into()
            }
            other => other.into(),
        }
    }

    /// Whether all of it is here, so that it can be sent again.
    pub const fn is_complete(&self) -> bool {
        matches!(self.kind, Kind::Once(_) | Kind::Other(None))
    }

    fn reader(&self) -> Option<&Reader> {
        match &self.kind {
            Kind::Other(Some(other)) => match &**other {
                Other::Shared(reader) => Some(reader),
                Other::Pending { .. } | Other::Failed(_) => None,
            },
            _ => None,
        }
    }
}

impl Other {
    fn replay(&self) -> Option<Body> {
        match self {
            Self::Shared(reader) => Some(Self::Shared(reader.again()?).into()),
            Self::Pending { .. } | Self::Failed(_) => None,
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self {
            Self::Pending { ahead, rest } => match ahead.pop_front() {
                Some(frame) => Poll::Ready(Some(Ok(frame))),
                None => Pin::new(rest).poll_frame(cx),
            },
            Self::Shared(reader) => reader.poll_frame(cx),
            Self::Failed(status) => Poll::Ready(Some(Err(status.clone()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Pending { ahead, rest } => ahead.is_empty() && rest.is_end_stream(),
            Self::Shared(_) | Self::Failed(_) => false,
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        let kind = if bytes.is_empty() {
            Kind::Other(None)
        } else {
            Kind::Once(bytes)
        };
        Self { kind }
    }
}

/// Polls `rest` until it ends, fails, has to wait, or has given enough. A unary message is one frame, and costs no queue.
fn drain(mut rest: tonic::body::Body) -> Body {
    let first = match poll_now(&mut rest) {
        Poll::Ready(Some(Ok(frame))) => frame,
        Poll::Ready(Some(Err(status))) => return Other::Failed(status).into(),
        Poll::Ready(None) => return Body::empty(),
        Poll::Pending => return pending(VecDeque::new(), rest),
    };
    match poll_now(&mut rest) {
        Poll::Ready(None) => first.into_data().unwrap_or_default().into(),
        Poll::Ready(Some(Err(status))) => Other::Failed(status).into(),
        Poll::Ready(Some(Ok(second))) => drain_more(VecDeque::from([first, second]), rest),
        Poll::Pending => pending(VecDeque::from([first]), rest),
    }
}

fn drain_more(mut ahead: VecDeque<Frame<Bytes>>, mut rest: tonic::body::Body) -> Body {
    let size = |frame: &Frame<Bytes>| frame.data_ref().map_or(0, Bytes::len);
    let mut taken: usize = ahead.iter().map(size).sum();
    while taken < AHEAD {
        match poll_now(&mut rest) {
            Poll::Ready(Some(Ok(frame))) => {
                taken += size(&frame);
                ahead.push_back(frame);
            }
            Poll::Ready(Some(Err(status))) => return Other::Failed(status).into(),
            Poll::Ready(None) => return joined(ahead),
            Poll::Pending => break,
        }
    }
    pending(ahead, rest)
}

fn pending(ahead: VecDeque<Frame<Bytes>>, rest: tonic::body::Body) -> Body {
    Other::Pending { ahead, rest }.into()
}

/// Polls without a waker: whoever polls next registers a real one.
fn poll_now(body: &mut tonic::body::Body) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
    Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()))
}

/// One run of bytes out of all frames. gRPC requests have no trailers, so frames without data carry nothing.
fn joined(frames: VecDeque<Frame<Bytes>>) -> Body {
    let mut all = BytesMut::new();
    let data = frames
        .into_iter()
        .filter_map(|frame| frame.into_data().ok());
    data.for_each(|bytes| all.extend_from_slice(&bytes));
    all.freeze().into()
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Kind::Other(Some(other)) = &mut self.kind {
            let polled = other.poll_frame(cx);
            if let Other::Failed(_) = **other {
                self.kind = Kind::default();
            }
            return polled;
        }
        Poll::Ready(match std::mem::take(&mut self.kind) {
            Kind::Once(bytes) => Some(Ok(Frame::data(bytes))),
            Kind::Other(_) => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Once(_) => false,
            Kind::Other(other) => other.as_ref().is_none_or(|other| other.is_end_stream()),
        }
    }

    // Never exact, except for nothing at all: an exact length would put a `content-length` on the wire.
    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        match &self.kind {
            Kind::Once(bytes) => hint.set_lower(bytes.len() as u64),
            Kind::Other(None) => hint.set_exact(0),
            Kind::Other(Some(_)) => {}
        }
        hint
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Once(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Kind::Other(None) => f.write_str("Body(empty)"),
            Kind::Other(Some(other)) => write!(f, "Body({other:?})"),
        }
    }
}

impl fmt::Debug for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending { ahead, .. } => write!(f, "{} frames, not ended", ahead.len()),
            Self::Shared(reader) => fmt::Debug::fmt(reader, f),
            Self::Failed(status) => write!(f, "failed: {}", status.code()),
        }
    }
}
