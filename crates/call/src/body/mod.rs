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

mod capture;
mod payload;
mod rest;
mod shared;
#[cfg(test)]
mod tests;

use std::{
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;

pub use self::{payload::Payload, shared::ReplayMemory};
use crate::Notes;

/// A request body inside of the onion, and what layers have noted of its call. See the [module docs](self).
///
/// One word, for a request is handed from layer to layer with its body.
#[derive(Default)]
pub struct Body(Option<Box<Carried>>);

#[derive(Default)]
struct Carried {
    payload: Payload,
    notes: Option<Notes>,
}

/// A body type that retry can take apart and build again.
pub trait Replay: HttpBody<Data = Bytes> + Default + Send + 'static {
    /// Takes what is there without waiting.
    fn capture(self) -> Body;

    /// Makes a body of this type from one that was captured.
    fn restore(body: Body) -> Self;

    /// Whether all of it is there, or it has failed; `None` if that cannot be seen from outside.
    fn has_ended(&self) -> Option<bool> {
        None
    }

    /// What it sends once more, if all of it is there and that can be seen from outside.
    fn whole(&self) -> Option<Payload> {
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
        let carried = self.0.as_ref();
        Some(carried.is_none_or(|carried| carried.payload.has_ended()))
    }

    fn whole(&self) -> Option<Payload> {
        match &self.0 {
            Some(carried) if carried.payload.is_complete() => carried.payload.replay(),
            Some(_) => None,
            None => Some(Payload::default()),
        }
    }
}

impl Replay for tonic::body::Body {
    fn capture(self) -> Body {
        Payload::from(self).into()
    }

    fn restore(body: Body) -> Self {
        body.into_payload().into_tonic()
    }
}

impl Body {
    /// A body without a byte.
    pub const fn empty() -> Self {
        Self(None)
    }

    /// The same body once more, with a copy of what was noted, or `None` if it cannot begin again: it failed, or it had not ended when
    /// it was captured and is not [`replayable`](Self::replayable), or no longer.
    pub fn replay(&self) -> Option<Self> {
        let Some(carried) = &self.0 else {
            return Some(Self::empty());
        };
        let payload = carried.payload.replay()?;
        let notes = carried.notes.clone();
        Some(Self(Some(Box::new(Carried { payload, notes }))))
    }

    /// What further attempts of one call send, of which this body is the first: each that is [begun anew](Payload::replay_anew) cuts off
    /// those before it, this one too, but nobody who has another copy, as a wrapper has that does the call several times. `None` if it
    /// cannot begin again: see [`replay`](Self::replay).
    pub fn for_attempts(&mut self) -> Option<Payload> {
        match &mut self.0 {
            Some(carried) => carried.payload.for_attempts(),
            None => Some(Payload::default()),
        }
    }

    /// A body that has not ended, as one that [`replay`](Self::replay) can begin again as long as at most `limit` bytes of it were
    /// read and `memory` has room for them; with a `limit` of 0 as long as nothing was. Past either bound it goes on, and cannot begin
    /// again. Any other body stays as it is.
    #[must_use]
    pub fn replayable(mut self, limit: usize, memory: &Arc<ReplayMemory>) -> Self {
        if let Some(carried) = &mut self.0 {
            let payload = mem::take(&mut carried.payload);
            carried.payload = payload.replayable(limit, memory);
        }
        self
    }

    /// `other` in place of this one, for the same call: what was noted of it stays. A wrapper that compresses or signs what is sent
    /// hands the outcome on so. A body that is made anew knows neither the node nor the deadline of its call.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use tower_micro_call::Body;
    ///
    /// # let request = http::Request::new(Body::from(Bytes::from_static(b"hello")));
    /// let request = request.map(|body| body.replaced_by(Bytes::from_static(b"hi")));
    /// # let _ = request;
    /// ```
    #[must_use]
    pub fn replaced_by(mut self, other: impl Into<Self>) -> Self {
        self.0.get_or_insert_default().payload = other.into().into_payload();
        self
    }

    /// Whether all of it is here, so that it can be sent again.
    pub fn is_complete(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|carried| carried.payload.is_complete())
    }

    /// A body of the call that `notes` tell of.
    #[inline]
    pub fn noted(payload: Payload, notes: Notes) -> Self {
        let notes = Some(notes);
        Self(Some(Box::new(Carried { payload, notes })))
    }

    /// What it sends.
    pub fn into_payload(self) -> Payload {
        self.0
            .map_or_else(Payload::default, |carried| carried.payload)
    }

    #[inline]
    pub(crate) fn notes(&self) -> Option<&Notes> {
        self.0.as_ref()?.notes.as_ref()
    }

    #[inline]
    pub(crate) fn notes_mut(&mut self) -> &mut Option<Notes> {
        &mut self.0.get_or_insert_default().notes
    }
}

impl From<Payload> for Body {
    fn from(payload: Payload) -> Self {
        let notes = None;
        Self(Some(Box::new(Carried { payload, notes })))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Payload::from(bytes).into()
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match &mut self.0 {
            Some(carried) => Pin::new(&mut carried.payload).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|carried| carried.payload.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let empty = || SizeHint::with_exact(0);
        self.0
            .as_ref()
            .map_or_else(empty, |carried| carried.payload.size_hint())
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(carried) => write!(f, "Body({:?})", carried.payload),
            None => f.write_str("Body(empty)"),
        }
    }
}
