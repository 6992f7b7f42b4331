use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use http::{Request, Response};
use pin_project::pin_project;
use tokio::time::{Instant, Sleep};
use tower_micro_call::{AnswerBody, Error, Kind, Notes, Replay, ResponseBody};
use tower_service::Service;

use super::{
    course::{Course, Verdict},
    hedges::{Beside, Hedges},
    pushback::Pushback,
    template::Template,
};

/// So many attempts may fail within one poll, before others who run on this thread have their turn, and the call's deadline.
const AT_ONCE: u32 = 16;

/// The attempts of a call, one after the other, and those beside them.
///
/// One word, for it is handed outward from layer to layer: the attempts stay where they are.
#[derive(Debug)]
pub struct ResponseFuture<S, B, F>(Pin<Box<Flight<S, B, F>>>);

/// A call on its way.
#[pin_project(project = Flying)]
#[derive(Debug)]
pub(super) struct Flight<S, B, F> {
    inner: Inner<S>,
    pub(super) course: Course,
    #[pin]
    phase: Phase<B, F>,
    hedges: Option<Box<Hedges<F>>>,
}

impl<S, B, F> Default for Flight<S, B, F> {
    fn default() -> Self {
        Self {
            inner: Inner {
                template: None,
                own: None,
            },
            course: Course::default(),
            phase: Phase::Failed(None),
            hedges: None,
        }
    }
}

impl<S, B, F> From<Box<Flight<S, B, F>>> for ResponseFuture<S, B, F> {
    fn from(flight: Box<Flight<S, B, F>>) -> Self {
        Self(Box::into_pin(flight))
    }
}

/// What later attempts go through: cloned when one is due.
#[derive(Debug)]
struct Inner<S> {
    /// Of a call that may have more than one.
    template: Option<Arc<Template<S>>>,
    /// In a box, for few calls have one.
    own: Option<Box<S>>,
}

impl<S> Inner<S> {
    fn template(&self) -> &Template<S> {
        let template = self.template.as_ref();
        template.expect("another attempt was wanted, and can be")
    }
}

impl<S: Clone> Inner<S> {
    fn fresh(&self) -> S {
        S::clone(&self.template().spare)
    }

    fn own(&mut self) -> &mut S {
        if self.own.is_none() {
            self.own = Some(Box::new(self.fresh()));
        }
        self.own.as_mut().expect("made above")
    }
}

impl<S> Inner<S> {
    /// An attempt beside those under way, if one may be sent now: one that would have to wait for room helps nobody.
    fn beside<B: Replay>(&self, course: &mut Course) -> Option<Beside<S::Future>>
    where
        S: Service<Request<B>> + Clone,
    {
        let mut inner = self.fresh();
        let ready = inner.poll_ready(&mut Context::from_waker(Waker::noop()));
        if !matches!(ready, Poll::Ready(Ok(()))) {
            return None;
        }
        let request = course.request_beside(&self.template().head)?;
        Some(Beside {
            number: course.attempt(),
            attempt: Box::pin(send(&mut inner, request)),
        })
    }
}

/// Sends an attempt that may have had to wait for its turn.
fn send<S: Service<Request<B>>, B: 'static>(inner: &mut S, mut request: Request<B>) -> S::Future {
    Notes::of_mut(&mut request).set_now(Instant::now());
    inner.call(request)
}

/// A request that waits for its turn is kept in a box; one that need not wait never sees it.
#[pin_project(project = PhaseProjected)]
enum Phase<B, F> {
    /// An attempt is due; the backoff has not been asked.
    Due(Box<Parked<B>>),
    /// Sleeping before it.
    Waiting(Box<Parked<B>>, #[pin] Sleep),
    /// Waiting for the inner service to take it.
    Readying(Box<Parked<B>>),
    /// It is under way.
    Calling(#[pin] F),
    /// The backoff failed before the first attempt.
    Failed(Option<Error>),
    /// No attempt is left; only those beside are waited for.
    Spent(Error),
}

type Parked<B> = Option<Request<B>>;

/// Keeps to itself what the request says that waits.
impl<B, F: fmt::Debug> fmt::Debug for Phase<B, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Due(_) => f.write_str("Due"),
            Self::Waiting(..) => f.write_str("Waiting"),
            Self::Readying(_) => f.write_str("Readying"),
            Self::Calling(attempt) => f.debug_tuple("Calling").field(attempt).finish(),
            Self::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
            Self::Spent(error) => f.debug_tuple("Spent").field(error).finish(),
        }
    }
}

impl<S, B, F> Flight<S, B, F> {
    /// The call may have more than one attempt.
    pub(super) fn keep(&mut self, template: Arc<Template<S>>) {
        self.inner.template = Some(template);
    }
}

impl<S, B> Flight<S, B, S::Future>
where
    S: Service<Request<B>> + Clone,
    S::Error: Into<Error>,
{
    /// Sends the first attempt, unless it has to wait.
    pub(super) fn start(&mut self, first: &mut S, spare: &Arc<S>, request: Request<B>) {
        match self.course.pause() {
            Ok(None) => self.send_first(first, spare, request),
            Ok(Some(sleep)) => {
                self.inner.own = Some(Box::new(S::clone(spare)));
                self.phase = Phase::Waiting(Box::new(Some(request)), sleep);
            }
            Err(error) => self.phase = Phase::Failed(Some(error)),
        }
    }

    #[inline]
    fn send_first(&mut self, first: &mut S, spare: &Arc<S>, request: Request<B>) {
        match first.poll_ready(&mut Context::from_waker(Waker::noop())) {
            // An attempt is large: it is put where it stays.
            Poll::Ready(Ok(())) => self.phase = Phase::Calling(first.call(request)),
            Poll::Ready(Err(error)) => self.phase = Phase::Failed(Some(error.into())),
            Poll::Pending => {
                // Whoever has begun to wait goes on waiting, with this call.
                let fresh = S::clone(spare);
                self.inner.own = Some(Box::new(mem::replace(first, fresh)));
                self.phase = Phase::Readying(Box::new(Some(request)));
            }
        }
    }
}

impl<S, B, RB> Future for ResponseFuture<S, B, S::Future>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone,
    S::Error: Into<Error>,
    B: Replay,
    RB: AnswerBody,
{
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        match self.0.as_mut().poll_in_turn(cx) {
            Poll::Pending => self.0.as_mut().poll_beside(cx),
            answer => answer,
        }
    }
}

type Answer = Result<Response<ResponseBody>, Error>;

/// What an attempt has ended with. Inside of the onion a failure is an `Err` by now; a bare channel leaves it in the headers.
fn ended<RB: AnswerBody, E: Into<Error>>(answer: Result<Response<RB>, E>) -> Answer {
    let response = AnswerBody::adopt(answer.map_err(Into::into)?);
    match response.body().failure() {
        Some(error) => Err(error),
        None => Ok(response),
    }
}

/// Whether a failure after which nothing is sent any more ends the call: not while an attempt beside may answer, if there is time.
fn ends<F>(hedges: &Option<Box<Hedges<F>>>, error: &Error) -> bool {
    is_alone(hedges) || error.kind() == Kind::Deadline
}

/// Whether no attempt is under way beside the one whose turn it is.
fn is_alone<F>(hedges: &Option<Box<Hedges<F>>>) -> bool {
    hedges.as_ref().is_none_or(|hedges| hedges.is_empty())
}

impl<S, B, F> Flying<'_, S, B, F> {
    /// Nothing follows in turn. What was ready to take it gives back the place that it holds.
    fn spend(&mut self, error: Error) {
        self.inner.own = None;
        self.phase.set(Phase::Spent(error));
    }

    fn beside(&mut self) -> &mut Hedges<F> {
        let hedges = self.hedges.as_deref_mut();
        hedges.expect("made when the first of them might be due")
    }

    /// A node that an attempt beside went to wants quiet for so long, from the one that waits for its turn too.
    fn hold_back(&mut self, pause: Duration) {
        let PhaseProjected::Waiting(_, sleep) = self.phase.as_mut().project() else {
            return self.beside().wait(pause);
        };
        if let Some(end) = Instant::now().checked_add(pause)
            && sleep.deadline() < end
        {
            sleep.reset(end);
        }
        self.beside().wait_for_turn(pause);
    }
}

impl<S, B> Flying<'_, S, B, S::Future>
where
    S: Service<Request<B>> + Clone,
    B: Replay,
{
    /// Sends an attempt that has waited for its turn, if it still may be. How the call ends, if that ends it.
    fn send_waiting(&mut self, mut request: Request<B>) -> Option<Error> {
        match self.course.refused() {
            None => {
                // Others may have been sent beside it meanwhile.
                if let Some(left) = self.course.left() {
                    Notes::of_mut(&mut request).set_attempts_left(left);
                }
                let attempt = send(self.inner.own(), request);
                self.phase.set(Phase::Calling(attempt));
            }
            Some(error) if ends(self.hedges, &error) => return Some(error),
            Some(error) => self.spend(error),
        }
        None
    }

    /// What follows an attempt that failed: what the call comes to, if no other is due.
    fn follow(&mut self, failed: Error) -> Option<Poll<Error>> {
        if let Some(hedges) = &mut self.hedges
            && let Pushback::After(pause) = Pushback::of(&failed, self.course.deadline())
        {
            hedges.wait_for_turn(pause);
        }
        Some(match self.course.judge(failed) {
            Verdict::End(error) => Poll::Ready(error),
            Verdict::Spent(error) if is_alone(self.hedges) => Poll::Ready(error),
            Verdict::Spent(error) => {
                self.spend(error);
                Poll::Pending
            }
            Verdict::Again => {
                let head = &self.inner.template().head;
                let Some(request) = self.course.request(head) else {
                    return Some(Poll::Ready(self.course.committed()));
                };
                self.phase.set(Phase::Due(Box::new(Some(request))));
                return None;
            }
        })
    }
}

impl<S, B, RB> Flight<S, B, S::Future>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone,
    S::Error: Into<Error>,
    B: Replay,
    RB: AnswerBody,
{
    /// One attempt after the other.
    fn poll_in_turn(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let mut this = self.project();
        let mut at_once = 0;
        loop {
            let failed = match this.phase.as_mut().project() {
                PhaseProjected::Due(request) => {
                    let request = mem::take(request);
                    match this.course.pause() {
                        Ok(None) => this.phase.set(Phase::Readying(request)),
                        Ok(Some(sleep)) => this.phase.set(Phase::Waiting(request, sleep)),
                        Err(error) => this.phase.set(Phase::Failed(Some(error))),
                    }
                    continue;
                }
                PhaseProjected::Waiting(request, sleep) => {
                    let slept = sleep.poll(cx);
                    if let Some(error) = this.course.overdue() {
                        return Poll::Ready(Err(error));
                    }
                    ready!(slept);
                    let request = mem::take(request);
                    this.phase.set(Phase::Readying(request));
                    continue;
                }
                PhaseProjected::Readying(request) => match this.inner.own().poll_ready(cx) {
                    Poll::Pending => {
                        let overdue = this.course.overdue();
                        return overdue.map_or(Poll::Pending, |error| Poll::Ready(Err(error)));
                    }
                    Poll::Ready(Ok(())) => {
                        let request = request.take().expect("kept until it is sent");
                        if let Some(error) = this.send_waiting(request) {
                            return Poll::Ready(Err(error));
                        }
                        continue;
                    }
                    Poll::Ready(Err(error)) => error.into(),
                },
                PhaseProjected::Calling(attempt) => match ended(ready!(attempt.poll(cx))) {
                    Ok(mut response) => {
                        this.course.succeed(&mut response);
                        return Poll::Ready(Ok(response));
                    }
                    Err(error) => error,
                },
                PhaseProjected::Failed(error) => error.take().expect("polled after it was ready"),
                PhaseProjected::Spent(_) => return Poll::Pending,
            };
            if let Some(end) = this.follow(failed) {
                return end.map(Err);
            }
            at_once += 1;
            if at_once == AT_ONCE {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// Those beside. They are sent, and waited for, only while the one whose turn it is has not ended the call.
    fn poll_beside(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let mut this = self.project();
        if this.hedges.is_none() {
            let is_sent = matches!(this.phase.as_mut().project(), PhaseProjected::Calling(_));
            let Some((delay, most)) = this.course.hedged().filter(|_| is_sent) else {
                return Poll::Pending;
            };
            *this.hedges = Some(Box::new(Hedges::new(delay, most)));
        }
        loop {
            while let Poll::Ready((number, answer)) = this.beside().poll_ended(cx) {
                let error = match ended(answer) {
                    Ok(mut response) => {
                        this.course.succeed(&mut response);
                        return Poll::Ready(Ok(response));
                    }
                    Err(error) => error,
                };
                let pushback = Pushback::of(&error, this.course.deadline());
                if let Some(error) = this.course.judge_beside(number, error) {
                    return Poll::Ready(Err(error));
                }
                match pushback {
                    Pushback::Unsaid => {}
                    Pushback::After(pause) => this.hold_back(pause),
                    Pushback::Stop => {
                        this.beside().stop();
                        if let Some(error) = this.course.stop() {
                            this.spend(error);
                        }
                    }
                }
                if let PhaseProjected::Spent(error) = this.phase.as_mut().project()
                    && is_alone(this.hedges)
                {
                    return Poll::Ready(Err(this.course.ended_beside(error)));
                }
            }
            ready!(this.beside().poll_due(cx));
            match this.inner.beside(this.course) {
                Some(beside) => this.beside().push(beside),
                None if !this.course.has_left() => this.beside().stop(),
                None => {}
            }
        }
    }
}
