//! What a node answers, read from its stream.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, RecvStream};
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};
use tonic::Status;
use tower_micro_call::BoxError;

use super::{
    exchange::{Handed, unsendable},
    link::Ticket,
    pump::Failed,
};

/// The body of an answer. Dropped before its end, it resets the stream.
pub(super) struct Answer {
    stream: RecvStream,
    data_done: bool,
    /// None when the stream has ended.
    ticket: Option<Ticket>,
    /// Of the request, if it is still being sent.
    failed: Option<Failed>,
    /// The request, if that is not sent any more.
    handed: Option<Handed>,
}

type Polled = Poll<Option<Result<Frame<Bytes>, BoxError>>>;

impl Answer {
    pub(super) const fn new(stream: RecvStream, ticket: Ticket, handed: Option<Handed>) -> Self {
        Self {
            stream,
            data_done: false,
            ticket: Some(ticket),
            failed: None,
            handed,
        }
    }

    /// The same, of a request that is still being sent, and may fail.
    pub(super) fn beside(mut self, request: Failed) -> Self {
        self.failed = Some(request);
        self
    }

    fn poll_trailers(&mut self, cx: &mut Context<'_>) -> Polled {
        let trailers = ready!(self.stream.poll_trailers(cx));
        let frame = trailers.map(|trailers: Option<HeaderMap>| trailers.map(Frame::trailers));
        Poll::Ready(match frame {
            Ok(frame) => {
                self.let_go();
                self.ticket = None;
                frame.map(Ok)
            }
            Err(error) => self.broken(error),
        })
    }

    /// Of the request, before its place is another's.
    fn let_go(&mut self) {
        if let Some(handed) = self.handed.take() {
            handed.let_go();
        }
    }

    /// NO_ERROR stops a stream and does not break it (RFC 9113 §8.1); whether enough has come by then is for the reader to see.
    fn broken(&mut self, error: h2::Error) -> Option<Result<Frame<Bytes>, BoxError>> {
        let ticket = self.ticket.take()?;
        if let Some(status) = self.failed.as_ref().and_then(|failed| failed.get()) {
            return Some(Err(Status::from(unsendable(status)).into()));
        }
        (error.reason() != Some(Reason::NO_ERROR)).then(|| Err(ticket.told(error)))
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        if !self.data_done {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    // It has been read, so the peer may send as much again. A stream that is gone needs no room.
                    let _ = self.stream.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(self.broken(error)),
                None => self.data_done = true,
            }
        }
        self.poll_trailers(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.let_go();
    }
}
