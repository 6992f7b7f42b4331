//! One request and its answer, on one stream.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use h2::{RecvStream, SendStream, client};
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
        let pump = if is_sent { None } else { rest(body, stream) };
        let ticket = Some(ticket);
        Self {
            answer,
            pump,
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
            self.pump = None;
        }
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        let ticket = self.ticket.take().expect("polled after it was ready");
        let answer = answer.map_err(|error| Error::transport(ticket.told(error)))?;
        Poll::Ready(Ok(self.answered(answer, ticket)))
    }

    fn answered(&mut self, answer: Response<RecvStream>, ticket: Ticket) -> Response<ResponseBody> {
        let Some(pump) = self.pump.take() else {
            return answer.map(|stream| ResponseBody::new(Answer::new(stream, ticket)));
        };
        let (tie, failed) = pump.detach();
        let beside = |stream| ResponseBody::new(Answer::new(stream, ticket).beside(failed));
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

/// Sends a body that is there, with END_STREAM on its one frame; what is not there yet is left to a pump.
fn rest(mut body: Body, mut stream: SendStream<Bytes>) -> Option<Box<Pump>> {
    if !body.is_complete() {
        return Some(Box::new(Pump::new(body, stream)));
    }
    let mut context = Context::from_waker(Waker::noop());
    let frame = Pin::new(&mut body).poll_frame(&mut context);
    if let Poll::Ready(Some(Ok(frame))) = frame {
        // A stream that has been closed under us says so in its answer.
        let _ = stream.send_data(frame.into_data().unwrap_or_default(), true);
    }
    None
}

/// The caller's own stream has failed: the node has seen a part of it.
pub(super) fn unsendable(status: &Status) -> Error {
    let text = format!("the request stream failed: {}", status.message());
    Error::new(Kind::Request, status.code(), text).with_disposition(Disposition::Unknown)
}
