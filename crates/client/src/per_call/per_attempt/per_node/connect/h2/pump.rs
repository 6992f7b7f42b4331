//! Sends a request that goes on.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body as HttpBody;
use tokio::sync::oneshot;
use tonic::Status;
use tower_micro_call::{Body, ambient};

use super::{
    super::tie::Tie,
    exchange::{Handed, PIECE, send},
};

/// So many frames are sent in a row before others who run on this thread have their turn.
const TURN: u32 = 64;

/// A request body on its way, one frame at a time, as the peer has room.
pub(super) struct Pump {
    body: Body,
    stream: SendStream<Bytes>,
    /// A frame for which there is no room yet.
    waiting: Option<Bytes>,
    /// How many bytes were sent.
    bytes: usize,
}

impl Pump {
    pub(super) const fn new(body: Body, stream: SendStream<Bytes>) -> Self {
        Self {
            body,
            stream,
            waiting: None,
            bytes: 0,
        }
    }

    /// All is sent.
    pub(super) fn handed(self) -> Handed {
        Handed::new(self.stream, self.bytes)
    }

    /// Goes on by itself until the returned tie is dropped. If the body fails, that is told before the stream is reset.
    pub(super) fn detach(self: Box<Self>) -> (Tie, Failed) {
        let (tie, call) = Tie::pair();
        let failed = Failed::default();
        let detached = Detached {
            pump: Some(self),
            handed: None,
            call,
            told: Arc::clone(&failed),
        };
        // What a handler sends on may make calls, which are the handler's own.
        drop(match ambient::current() {
            Some(ambient) => tokio::spawn(ambient::scope(ambient, detached)),
            None => tokio::spawn(detached),
        });
        (tie, failed)
    }

    /// Sends no more, though more was to come.
    pub(super) fn stop(&mut self) {
        self.stream.send_reset(Reason::CANCEL);
    }

    /// Ready when all is sent, or the peer wants no more; with the error if the body fails, and has to be [stopped](Self::stop).
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        for _ in 0..TURN {
            // What the peer has to say of it, the answer says.
            if self.stream.poll_reset(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            if self.waiting.is_some() && !ready!(self.poll_room(cx)) {
                return Poll::Ready(Ok(()));
            }
            let sent = match self.waiting.take() {
                Some(data) => self.send(data),
                None => match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                    Some(Ok(frame)) => self.offer(frame.into_data().unwrap_or_default()),
                    Some(Err(status)) => return Poll::Ready(Err(status)),
                    None => self.end(),
                },
            };
            if sent == Sent::Last {
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether the peer has room for more, once that is known.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        while self.stream.capacity() == 0 {
            match ready!(self.stream.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Poll::Ready(false),
            }
        }
        Poll::Ready(true)
    }

    /// Asks for room for `data`; one byte, so that what waits claims nothing. h2 claims the rest when it is sent.
    fn offer(&mut self, data: Bytes) -> Sent {
        if data.is_empty() {
            return self.send(data);
        }
        self.stream.reserve_capacity(1);
        self.waiting = Some(data);
        Sent::More
    }

    fn send(&mut self, data: Bytes) -> Sent {
        let last = self.body.is_end_stream();
        self.sent(data, last)
    }

    fn end(&mut self) -> Sent {
        self.sent(Bytes::new(), true)
    }

    fn sent(&mut self, data: Bytes, last: bool) -> Sent {
        self.bytes = self.bytes.saturating_add(data.len());
        match send(&mut self.stream, data, last, PIECE) {
            Ok(()) if !last => Sent::More,
            // The stream has been closed under us.
            Ok(()) | Err(_) => Sent::Last,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    More,
    Last,
}

/// Why the body has failed, if it has.
pub(super) type Failed = Arc<OnceLock<Status>>;

/// A pump whose call has its headers already. Dropped before all is sent, it resets the stream: its call has ended, its body has failed, or
/// its runtime has ended, and the node would wait for more, and the call for the node.
struct Detached {
    /// None when all is sent, or has failed.
    pump: Option<Box<Pump>>,
    /// When all is sent.
    handed: Option<Handed>,
    call: oneshot::Receiver<Infallible>,
    told: Failed,
}

impl Future for Detached {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if Pin::new(&mut self.call).poll(cx).is_ready() {
            if let Some(handed) = self.handed.take() {
                handed.let_go();
            }
            return Poll::Ready(());
        }
        let Some(pump) = &mut self.pump else {
            return Poll::Pending;
        };
        match ready!(pump.poll(cx)) {
            Ok(()) => {
                self.handed = self.pump.take().map(|pump| pump.handed());
                Poll::Pending
            }
            Err(status) => {
                drop(self.told.set(status));
                Poll::Ready(())
            }
        }
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        if let Some(pump) = &mut self.pump {
            pump.stop();
        }
    }
}
