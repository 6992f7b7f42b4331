//! The body of a response, and the one moment at which its call ends.
//!
//! A gRPC call does not end with its headers. It ends when trailers come, when the stream breaks, when it stops without a
//! `grpc-status`, when its deadline passes, or when the caller lets go of it. [`ResponseBody`] sees which of these comes first, and
//! tells everybody who waits for it, once: the node is marked, counts go down, budgets are paid there and nowhere else.
//!
//! What the node sends passes through unchanged, but for two things. Trailers that would make a reader panic are scrubbed, and a
//! failure of this side (a broken stream, a missing status, the deadline) is told with its code and its story.
//!
//! # Example
//! ```
//! use tower_micro_call::{End, ResponseBody};
//!
//! let mut body = ResponseBody::empty();
//! body.on_end(Box::new(|end: End<'_>| println!("the call ended: {end:?}")));
//! ```

mod adopt;
mod clock;
mod end;
mod paying;
#[cfg(test)]
mod tests;

use std::{
    any::Any,
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use smallvec::SmallVec;
use tonic::{Code, Status};
use tower_micro_selector::Candidate;

pub use adopt::AnswerBody;
use clock::Clock;
use end::State;
pub use end::{End, Ended, SharedEnded};
use paying::Paying;

use crate::{BoxError, Common, Deadline, Dialect, Disposition, Error, Kind, Picked, status};

/// The most frames that are kept for the reader.
const FRAMES: usize = 64;

/// What a node answers with. See the [module docs](self).
///
/// One word on the outside: it is handed from layer to layer.
pub struct ResponseBody(Box<Inner>);

#[derive(Default)]
struct Inner {
    wire: tonic::body::Body,
    /// Frames that were looked at before the response was handed on.
    ahead: SmallVec<[Frame<Bytes>; 2]>,
    /// The node that answers, its connection, and what a success pays into: every call has them, so they need no box.
    picked: Option<Picked>,
    connection: Option<Arc<dyn SharedEnded>>,
    paying: Option<Paying>,
    waiting: SmallVec<[Box<dyn Ended>; 2]>,
    clock: Option<Clock>,
    dialect: Dialect,
    /// Whether somebody has read what the headers say.
    judged: bool,
    /// Whether the method is known to be a stream.
    streaming: bool,
    data_frames: u32,
    attempts: u32,
    state: State,
}

/// What a reader of a body gets.
type Polled = Poll<Option<Result<Frame<Bytes>, Status>>>;

impl Default for ResponseBody {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<tonic::body::Body> for ResponseBody {
    fn from(wire: tonic::body::Body) -> Self {
        // Filled where it stands: what is inside is too large to be moved there.
        let mut inner = Box::<Inner>::default();
        inner.wire = wire;
        Self(inner)
    }
}

impl ResponseBody {
    /// A body of a call that has ended well.
    pub fn empty() -> Self {
        let mut body = Self::from(tonic::body::Body::empty());
        body.0.state = State::Ok;
        body
    }

    /// Any body of a response. One that is a `ResponseBody` stays the one it is.
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut body = Some(body);
        if let Some(same) = (&mut body as &mut dyn Any).downcast_mut::<Option<Self>>() {
            return same.take().expect("put there above");
        }
        tonic::body::Body::new(body.expect("put there above")).into()
    }

    /// The headers have been read; failures of this side are told in the words of `dialect`.
    #[inline]
    pub fn set_judged(&mut self, dialect: Dialect) {
        self.0.judged = true;
        self.0.dialect = dialect;
    }

    /// Ends the call when `deadline` passes, however much of the body has come; the earlier one, if it was given one before.
    #[inline]
    pub fn set_deadline(&mut self, deadline: Deadline) {
        let clock = self.0.clock.as_ref();
        if clock.is_none_or(|clock| !clock.ends_by(deadline)) {
            self.0.clock = Some(Clock::new(deadline));
        }
    }

    /// The method is known to be a stream, so that its deadline needs no advice.
    pub fn set_streaming(&mut self) {
        self.0.streaming = true;
    }

    /// The headers said that the call ended well: no trailers follow.
    #[inline]
    pub fn set_ended(&mut self) {
        if matches!(self.0.state, State::Open) {
            self.end(State::Ok);
        }
    }

    /// Tells `ended` how the call ends; at once if it has.
    pub fn on_end(&mut self, ended: Box<dyn Ended>) {
        match self.0.state.end() {
            None => self.0.waiting.push(ended),
            Some(end) => ended.ended(end),
        }
    }

    /// Ends `picked` when the call ends; at once if it has. The answer of another client has one already, which ends with it too.
    #[inline]
    pub fn set_picked(&mut self, mut picked: Picked) {
        if let Some(end) = self.0.state.end() {
            picked.end(end);
        }
        match &mut self.0.picked {
            none @ None => *none = Some(picked),
            Some(other) => {
                let other = mem::replace(other, picked);
                self.on_end(Box::new(other));
            }
        }
    }

    /// The node that answers, if a layer has picked one.
    pub fn node(&self) -> Option<&Arc<Candidate>> {
        self.0.picked.as_ref().map(Picked::node)
    }

    /// Writes how many attempts the call took.
    #[inline]
    pub fn set_attempts(&mut self, attempts: u32) {
        self.0.attempts = attempts;
    }

    /// How many attempts the call took; 0 if no layer counts them.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Tells `connection`, which carries many calls, how this one ends; at once if it has. The answer of another client has one already,
    /// which is told too.
    #[inline]
    pub fn set_connection(&mut self, connection: Arc<dyn SharedEnded>) {
        if let Some(end) = self.0.state.end() {
            connection.ended(end);
        } else if let Some(other) = self.0.connection.replace(connection) {
            self.on_end(Box::new(move |end: End<'_>| other.ended(end)));
        }
    }

    /// Pays the budget of the call's options if it ends well.
    #[inline]
    pub fn pay_budget_of(&mut self, common: Common) {
        let paying = Paying(common);
        if let Some(end) = self.0.state.end() {
            paying.told(end);
        } else if let Some(other) = self.0.paying.replace(paying) {
            self.on_end(Box::new(other));
        }
    }

    /// Polls for the first frame, keeping it for the reader.
    ///
    /// Ready when a frame is there, with the error if the call is over and has failed.
    #[inline]
    pub fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<Option<Error>> {
        if self.0.ahead.is_empty() {
            ready!(self.poll_ahead(cx));
        }
        Poll::Ready(self.failure())
    }

    /// Polls until the call is over or `limit` bytes are kept, for methods that answer with one message. A message that comes in many
    /// small frames is not waited for either.
    pub fn poll_whole(&mut self, cx: &mut Context<'_>, limit: usize) -> Poll<Option<Error>> {
        let has_room = |this: &Self| this.0.ahead.len() < FRAMES && this.kept() < limit;
        while matches!(self.0.state, State::Open) && has_room(self) {
            ready!(self.poll_ahead(cx));
        }
        Poll::Ready(self.failure())
    }

    fn kept(&self) -> usize {
        let data = self.0.ahead.iter().filter_map(Frame::data_ref);
        data.map(Bytes::len).sum()
    }

    /// How the call has failed, if it has.
    #[inline]
    pub fn failure(&self) -> Option<Error> {
        match &self.0.state {
            State::Failed(error) => Some(error.clone()),
            State::Open | State::Ok => None,
        }
    }

    /// Takes one more frame from the wire and keeps it; a failure is kept as the state.
    #[inline]
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(Ok(frame)) = ready!(self.poll_wire(cx)) {
            self.0.ahead.push(frame);
        }
        Poll::Ready(())
    }

    fn poll_wire(&mut self, cx: &mut Context<'_>) -> Polled {
        if !matches!(self.0.state, State::Open) {
            return Poll::Ready(None);
        }
        let mut polled = Pin::new(&mut self.0.wire).poll_frame(cx);
        match &mut polled {
            // Judged where it stands: a frame is too large to be handed about.
            Poll::Ready(Some(Ok(frame))) => {
                self.judge(frame);
                if self.goes_on_too_long() {
                    return self.poll_too_late();
                }
            }
            _ => polled = self.poll_end(polled, cx),
        }
        polled
    }

    /// What follows when the wire has no frame.
    fn poll_end(&mut self, polled: Polled, cx: &mut Context<'_>) -> Polled {
        match polled {
            Poll::Ready(Some(Err(status))) => Poll::Ready(Some(Err(self.broke(status)))),
            Poll::Ready(None) => Poll::Ready(Some(Err(self.stopped()))),
            Poll::Pending | Poll::Ready(Some(Ok(_))) => self.poll_clock(cx),
        }
    }

    /// Trailers end the call.
    #[inline]
    fn judge(&mut self, frame: &mut Frame<Bytes>) {
        match frame.trailers_mut() {
            Some(trailers) => self.over(trailers),
            None => self.0.data_frames = self.0.data_frames.saturating_add(1),
        }
    }

    fn over(&mut self, trailers: &mut HeaderMap) {
        match status::read(trailers) {
            None => {
                let error = without_status();
                status::write(trailers, error.status());
                self.end(State::Failed(error));
            }
            Some(Ok(())) => self.end(State::Ok),
            Some(Err(said)) if said.code() == Code::Cancelled && self.is_overdue() => {
                let error = self.explained(self.too_late());
                status::write(trailers, error.status());
                self.end(State::Failed(error));
            }
            Some(Err(said)) => {
                let error = Error::answered(*said, self.0.dialect);
                self.end(State::Failed(error));
            }
        }
    }

    fn broke(&mut self, status: Status) -> Status {
        let error = Error::of_body(status);
        self.fail(if error.is_cancelled_by_node() && self.is_overdue() {
            self.too_late()
        } else {
            error.spoken(self.0.dialect)
        })
    }

    fn stopped(&mut self) -> Status {
        self.fail(without_status().spoken(self.0.dialect))
    }

    /// Ends the call with an error of this side, and drops the stream, which resets it on the wire.
    fn fail(&mut self, error: Error) -> Status {
        let error = self.explained(error).of_own_connection();
        let status = error.clone().into();
        self.0.wire = tonic::body::Body::empty();
        self.end(State::Failed(error));
        status
    }

    fn explained(&self, error: Error) -> Error {
        let error = match &self.0.picked {
            Some(picked) => picked.explain(error),
            None => error,
        };
        let waiting = self.0.waiting.iter();
        waiting.fold(error, |error, waiting| waiting.explain(error))
    }

    #[inline]
    fn end(&mut self, state: State) {
        match &state {
            State::Open => return,
            State::Ok => self.tell(End::Ok),
            State::Failed(error) => self.tell(End::Failed(error)),
        }
        self.0.state = state;
    }

    #[inline]
    fn tell(&mut self, end: End<'_>) {
        if let Some(picked) = &mut self.0.picked {
            picked.end(end);
        }
        if let Some(connection) = self.0.connection.take() {
            connection.ended(end);
        }
        if let Some(paying) = self.0.paying.take() {
            paying.told(end);
        }
        if !self.0.waiting.is_empty() {
            let waiting = mem::take(&mut self.0.waiting);
            waiting.into_iter().for_each(|waiting| waiting.ended(end));
        }
    }
}

/// A stream that stops with no `grpc-status`: also what `RST_STREAM(NO_ERROR)` in the middle of a message looks like.
fn without_status() -> Error {
    let text = "the response ended without a grpc-status";
    Error::new(Kind::Transport, Code::Unknown, text)
        .with_disposition(Disposition::Unknown)
        .of_own_connection()
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        let ahead = &mut self.0.ahead;
        match ahead.len() {
            0 => self.poll_wire(cx),
            1 => Poll::Ready(ahead.pop().map(Ok)),
            _ => Poll::Ready(Some(Ok(ahead.remove(0)))),
        }
    }

    // Not before the end was seen here: a reader that stops early would leave the call open.
    fn is_end_stream(&self) -> bool {
        self.0.ahead.is_empty() && !matches!(self.0.state, State::Open)
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_end_stream() {
            return SizeHint::with_exact(0);
        }
        SizeHint::default()
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        // Whoever waited for an end that has come was told of it then.
        if matches!(self.0.state, State::Open) {
            self.tell(End::Dropped);
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.0.state {
            State::Open => "open",
            State::Ok => "ended well",
            State::Failed(_) => "failed",
        };
        write!(
            f,
            "ResponseBody({state}, {} data frames)",
            self.0.data_frames
        )
    }
}
