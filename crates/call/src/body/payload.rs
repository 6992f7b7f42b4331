//! What a body sends.

use std::{
    collections::VecDeque,
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;

use super::{ReplayMemory, rest, shared::Reader};

/// What a [`Body`](super::Body) sends, without what was noted of its call.
pub struct Payload(Kind);

/// A payload is kept with every request that may be sent again: what is rare has a box, so that it is no larger than [`Bytes`].
enum Kind {
    Once(Bytes),
    Other(Option<Box<Other>>),
}

/// What is not one run of bytes; nothing at all has no box.
pub(super) enum Other {
    Pending {
        ahead: VecDeque<Frame<Bytes>>,
        rest: tonic::body::Body,
    },
    Shared(Reader),
    Failed(Status),
}

impl Default for Payload {
    fn default() -> Self {
        Self(Kind::Other(None))
    }
}

impl From<Other> for Payload {
    fn from(other: Other) -> Self {
        Self(Kind::Other(Some(Box::new(other))))
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            return Self::default();
        }
        Self(Kind::Once(bytes))
    }
}

impl Payload {
    /// The same payload once more. See [`Body::replay`](super::Body::replay).
    pub fn replay(&self) -> Option<Self> {
        match &self.0 {
            Kind::Once(bytes) => Some(Self(Kind::Once(bytes.clone()))),
            Kind::Other(None) => Some(Self::default()),
            Kind::Other(Some(other)) => other.replay(),
        }
    }

    /// The same, for further attempts of one call: see [`Body::for_attempts`](super::Body::for_attempts).
    pub(super) fn for_attempts(&mut self) -> Option<Self> {
        if let Kind::Other(Some(other)) = &mut self.0
            && let Other::Shared(reader) = &mut **other
        {
            reader.begin_run();
        }
        self.replay()
    }

    /// The same, for an attempt that takes the place of those before: of a stream they read nothing more.
    pub fn replay_anew(&self) -> Option<Self> {
        match self.reader() {
            Some(reader) => Some(Other::Shared(reader.anew()?).into()),
            None => self.replay(),
        }
    }

    /// See [`Body::replayable`](super::Body::replayable).
    #[must_use]
    pub(super) fn replayable(self, limit: usize, memory: &Arc<ReplayMemory>) -> Self {
        match self.0 {
            Kind::Other(Some(other)) => other.replayable(limit, memory).into(),
            kind => Self(kind),
        }
    }

    /// Whether all of it is here, so that it can be sent again.
    pub const fn is_complete(&self) -> bool {
        matches!(self.0, Kind::Once(_) | Kind::Other(None))
    }

    /// Whether no more of it is to come: all of it is here, or it has failed.
    pub(super) fn has_ended(&self) -> bool {
        match &self.0 {
            Kind::Other(Some(other)) => matches!(**other, Other::Failed(_)),
            Kind::Once(_) | Kind::Other(None) => true,
        }
    }

    /// As a body of tonic's: one that was not read yet is given back as it came.
    pub(super) fn into_tonic(self) -> tonic::body::Body {
        match self.0 {
            Kind::Other(Some(other)) => match *other {
                Other::Pending { ahead, rest } if ahead.is_empty() => rest,
                other => tonic::body::Body::new(Self::from(other)),
            },
            kind => tonic::body::Body::new(Self(kind)),
        }
    }

    fn reader(&self) -> Option<&Reader> {
        match &self.0 {
            Kind::Other(Some(other)) => match &**other {
                Other::Shared(reader) => Some(reader),
                Other::Pending { .. } | Other::Failed(_) => None,
            },
            _ => None,
        }
    }
}

impl Other {
    fn replayable(self, limit: usize, memory: &Arc<ReplayMemory>) -> Self {
        match self {
            Self::Pending { ahead, rest } => {
                Self::Shared(Reader::new(ahead, rest, limit, Arc::clone(memory)))
            }
            other => other,
        }
    }

    fn replay(&self) -> Option<Payload> {
        match self {
            Self::Shared(reader) => Some(Self::Shared(reader.again()?).into()),
            Self::Pending { .. } | Self::Failed(_) => None,
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self {
            Self::Pending { ahead, rest } => match ahead.pop_front() {
                Some(frame) => Poll::Ready(Some(Ok(frame))),
                None => rest::poll(rest, cx),
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

impl HttpBody for Payload {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Kind::Other(Some(other)) = &mut self.0 {
            let polled = other.poll_frame(cx);
            if let Other::Failed(_) = **other {
                *self = Self::default();
            }
            return polled;
        }
        Poll::Ready(match mem::take(&mut *self).0 {
            Kind::Once(bytes) => Some(Ok(Frame::data(bytes))),
            Kind::Other(_) => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Once(_) => false,
            Kind::Other(other) => other.as_ref().is_none_or(|other| other.is_end_stream()),
        }
    }

    // Never exact, except for nothing at all: an exact length would put a `content-length` on the wire.
    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        match &self.0 {
            Kind::Once(bytes) => hint.set_lower(bytes.len() as u64),
            Kind::Other(None) => hint.set_exact(0),
            Kind::Other(Some(_)) => {}
        }
        hint
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Once(bytes) => write!(f, "{} bytes", bytes.len()),
            Kind::Other(None) => f.write_str("empty"),
            Kind::Other(Some(other)) => fmt::Debug::fmt(other, f),
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
