//! One request and its answer, on one stream.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, client};
use http::Response;
use http_body::Body as HttpBody;
use tonic::Status;
use tower_micro_call::{Body, Disposition, Error, Kind, ResponseBody};

use super::{answer::Answer, link::Ticket, pump::Pump};

/// A request under way. Dropped, it resets the stream.
pub(super) struct Exchange {
    answer: client::ResponseFuture,
    /// What is still to be sent.
    pump: Option<Box<Pump>>,
    handed: Option<Handed>,
    /// None once the answer has it.
    ticket: Option<Ticket>,
}

impl Exchange {
    pub(super) fn new(
        answer: client::ResponseFuture,
        stream: SendStream<Bytes>,
        body: Body,
        is_sent: bool,
        ticket: Ticket,
    ) -> Self {
        let (pump, handed) = match (is_sent, body.is_complete()) {
            (true, _) => (None, None),
            (false, true) => (None, Some(Handed::whole(body, stream))),
            (false, false) => (Some(Box::new(Pump::new(body, stream))), None),
        };
        let ticket = Some(ticket);
        Self {
            answer,
            pump,
            handed,
            ticket,
        }
    }

    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<ResponseBody>, Error>> {
        if let Some(pump) = &mut self.pump
            && let Poll::Ready(sent) = pump.poll(cx)
        {
            if let Err(status) = sent {
                pump.stop();
                return Poll::Ready(Err(unsendable(&status)));
            }
            self.handed = self.pump.take().map(|pump| pump.handed());
        }
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        let ticket = self.ticket.take().expect("polled after it was ready");
        let answer = answer.map_err(|error| Error::transport(ticket.told(error)))?;
        Poll::Ready(Ok(self.answered(answer, ticket)))
    }

    fn answered(&mut self, answer: Response<RecvStream>, ticket: Ticket) -> Response<ResponseBody> {
        let Some(pump) = self.pump.take() else {
            let handed = self.handed.take();
            return answer.map(|stream| ResponseBody::new(Answer::new(stream, ticket, handed)));
        };
        let (tie, failed) = pump.detach();
        let beside = |stream| ResponseBody::new(Answer::new(stream, ticket, None).beside(failed));
        let mut response = answer.map(beside);
        response.body_mut().on_end(Box::new(tie));
        response
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(ticket) = &self.ticket {
            ticket.let_go();
        }
    }
}

/// A request that h2 was given to its end, some of which it may still hold: the peer need not make room for it, and may answer all the
/// same.
pub(super) struct Handed {
    stream: SendStream<Bytes>,
    /// Whether h2 may hold some of it. What is small is as good as sent: to ask costs each call two parts in a hundred.
    may_wait: bool,
}

/// More than this is large, in bytes.
const LARGE: usize = 16 * 1024;

/// As much as h2 is given at once: half of the largest window that there is (RFC 9113 §6.9.1).
pub(super) const PIECE: usize = 1 << 30;

impl Handed {
    /// So many `bytes`, for each part of which there was room for some: what is small is as good as sent.
    pub(super) const fn new(stream: SendStream<Bytes>, bytes: usize) -> Self {
        let may_wait = bytes > LARGE;
        Self { stream, may_wait }
    }

    /// Sends a body that is there, with END_STREAM on its last frame.
    fn whole(mut body: Body, mut stream: SendStream<Bytes>) -> Self {
        let mut context = Context::from_waker(Waker::noop());
        let mut may_wait = false;
        if let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut context) {
            let data = frame.into_data().unwrap_or_default();
            may_wait = data.len() > LARGE && !has_room(&mut stream, data.len());
            // A stream that has been closed under us says so in its answer.
            let _ = send(&mut stream, data, true, PIECE);
        }
        Self { stream, may_wait }
    }

    /// The answer has ended. What h2 still holds goes too, or it would keep its stream from others for as long as the connection lives. h2
    /// remembers each stream that is reset for a while, so only those are that need to be.
    pub(super) fn let_go(mut self) {
        if self.may_wait {
            self.stream.send_reset(Reason::CANCEL);
        }
    }
}

/// Whether the peer has room for so many `bytes` now.
fn has_room(stream: &mut SendStream<Bytes>, bytes: usize) -> bool {
    stream.reserve_capacity(bytes);
    stream.capacity() >= bytes
}

/// Gives h2 `data` in pieces, each no larger than `most`.
pub(super) fn send(
    stream: &mut SendStream<Bytes>,
    mut data: Bytes,
    last: bool,
    most: usize,
) -> Result<(), h2::Error> {
    while data.len() > most {
        stream.send_data(data.split_to(most), false)?;
    }
    stream.send_data(data, last)
}

/// The caller's own stream has failed: the node has seen a part of it.
pub(super) fn unsendable(status: &Status) -> Error {
    let text = format!("the request stream failed: {}", status.message());
    Error::new(Kind::Request, status.code(), text).with_disposition(Disposition::Unknown)
}
