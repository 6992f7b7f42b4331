//! How far a call has come, and what follows an attempt.
//!
//! The order of questions is grpc-go's (`stream.go`, `shouldRetry`), with go-micro's predicate in the place of the list of codes: was
//! the request seen by anybody; is the failure one to repeat; has the node asked for a pause, or for none at all; are attempts left;
//! is there budget, asked last, when the attempt is about to be sent.

use std::{sync::Arc, time::Duration};

use http::{Request, Response};
use tokio::time::{Instant, Sleep, sleep};
use tower_micro_call::{
    Attempt, CallOptions, CallReport, Deadline, Disposition, Error, Kind, Notes, Replay,
    ResponseBody, RetryContext,
};

use super::{head::Head, pushback::Pushback};

/// Before the second request in a row that nobody saw; doubles after each.
const UNSEEN_FIRST: Duration = Duration::from_millis(25);
/// The longest such pause.
const UNSEEN_LONGEST: Duration = Duration::from_secs(1);

/// How many such requests a call without a deadline sends before the predicate is asked.
const UNSEEN_WITHOUT_DEADLINE: u32 = 16;

/// What is the same for all attempts of a call, and how far they have come.
#[derive(Debug)]
pub(super) struct Course {
    options: Arc<CallOptions>,
    deadline: Option<Deadline>,
    head: Option<Box<Head>>,
    retries: u32,
    /// The attempt under way, zero-based.
    attempt: u32,
    /// The attempt since which the backoff grows: the last one before which a node named the pause itself.
    grows_from: u32,
    /// The pause before the next attempt, if it is not for the backoff to say.
    pause: Option<Duration>,
    unseen: Unseen,
    began: Option<Instant>,
    previous: Option<Error>,
    /// How the attempt before the previous one ended.
    before: Option<Error>,
}

/// Requests that were sent once more because no node acted on them. They are no attempts, and free.
#[derive(Debug, Default)]
struct Unseen {
    never_sent: u32,
    refused: bool,
    /// Why the request that is about to be sent is one.
    next: Option<Error>,
}

/// What follows an attempt that failed.
pub(super) enum Verdict {
    Again,
    End(Error),
}

impl Course {
    pub(super) fn new(
        options: Arc<CallOptions>,
        deadline: Option<Deadline>,
        head: Option<Box<Head>>,
        retries: u32,
    ) -> Self {
        let began = (options.get_report() == Some(true)).then(Instant::now);
        Self {
            options,
            deadline,
            head,
            retries,
            attempt: 0,
            grows_from: 0,
            pause: None,
            unseen: Unseen::default(),
            began,
            previous: None,
            before: None,
        }
    }

    fn context(&self) -> RetryContext<'_> {
        RetryContext::new(self.attempt, &self.options)
    }

    /// The pause before the attempt that is about to begin.
    pub(super) fn pause(&mut self) -> Result<Option<Sleep>, Error> {
        let pause = match self.pause.take() {
            Some(pause) => pause,
            None => self.backoff()?,
        };
        Ok((!pause.is_zero()).then(|| sleep(pause)))
    }

    fn backoff(&self) -> Result<Duration, Error> {
        let Some(backoff) = self.options.get_backoff() else {
            return Ok(Duration::ZERO);
        };
        let untried = self.attempt > 0 && self.head.as_ref().is_some_and(|head| head.has_untried());
        let cx = self.context().with_error(self.previous.as_ref());
        let cx = cx.with_untried(untried).growing_from(self.grows_from);
        backoff
            .delay(cx)
            .map_err(|cause| Error::backoff(&cause, self.options.spoken()))
    }

    /// The predicate is asked before attempts are counted, so that it is asked after the last one too.
    pub(super) fn judge(&mut self, error: Error) -> Verdict {
        if error.kind() == Kind::Deadline {
            return self.end(error);
        }
        if self.head.is_some() && self.unseen.allows(&error, self.deadline.is_some()) {
            return self.send_again(error);
        }
        let Some(policy) = self.options.get_retry() else {
            return self.end(error);
        };
        match policy.should_retry(self.context().with_error(Some(&error))) {
            Err(instead) => Verdict::End(instead),
            Ok(true) if self.attempt < self.retries => self.repeat(error),
            Ok(_) => self.end(error),
        }
    }

    fn send_again(&mut self, error: Error) -> Verdict {
        self.pause = Some(self.unseen.pause());
        self.unseen.next = Some(error);
        Verdict::Again
    }

    fn repeat(&mut self, error: Error) -> Verdict {
        match Pushback::of(&error) {
            Pushback::Stop => return self.end(error),
            Pushback::Unsaid => {}
            Pushback::After(pause) => {
                self.pause = Some(pause);
                self.grows_from = self.attempt + 1;
            }
        }
        self.before = self.previous.replace(error);
        self.attempt += 1;
        Verdict::Again
    }

    fn end(&mut self, error: Error) -> Verdict {
        let attempts = self.attempt + 1;
        Verdict::End(error.with_attempts(attempts, self.previous.take()))
    }

    /// The request of the attempt that is about to begin.
    pub(super) fn request<B: Replay>(&self) -> Option<Request<B>> {
        let attempt = Attempt::new(self.attempt, self.retries - self.attempt);
        let attempt = attempt.after(self.previous.clone());
        self.head.as_ref().and_then(|head| head.request(attempt))
    }

    /// How the call ends if there is nothing left to send: a stream of which more was read than is kept.
    pub(super) fn committed(&mut self) -> Error {
        if let Some(unseen) = self.unseen.next.take() {
            return unseen.with_attempts(self.attempt + 1, self.previous.take());
        }
        let last = self.previous.take();
        let error = last.expect("an attempt failed before another is wanted");
        error.with_attempts(self.attempt, self.before.take())
    }

    /// The budget is paid when the answer has ended well.
    pub(super) fn succeed(&self, response: &mut Response<ResponseBody>) {
        if let Some(budget) = self.options.get_budget() {
            response.body_mut().on_success(Arc::clone(budget));
        }
        if let Some(began) = self.began {
            let node = response.extensions_mut().remove::<CallReport>();
            let node = node.and_then(|report| report.node);
            let report = CallReport::new(self.attempt + 1, began.elapsed()).with_node(node);
            response.extensions_mut().insert(report);
        }
    }

    /// How the call ends if its deadline passes between two attempts: with the node of the last one, if there was one.
    pub(super) fn overdue<B>(&mut self, next: Option<&Request<B>>) -> Option<Error> {
        let deadline = self.deadline?;
        if !deadline.has_passed(Instant::now()) {
            return None;
        }
        let error = Error::deadline(deadline.timeout(), self.options.spoken());
        let notes = next.and_then(|next| Notes::of(next.extensions()));
        let error = match notes.and_then(Notes::service) {
            Some(service) => error.with_service(service),
            None => error,
        };
        let before = self.unseen.next.take().or_else(|| self.previous.take());
        let error = match before.as_ref().and_then(Error::node) {
            Some(node) => error.with_node(node),
            None => error,
        };
        Some(error.with_attempts(self.attempt, before))
    }

    /// How the call ends if the retry that could be sent now may not be. It is paid for here and not when it was decided on, so that a
    /// call that is dropped in between has taken nothing.
    pub(super) fn refused<B>(&mut self, next: Option<&Request<B>>) -> Option<Error> {
        let free = self.unseen.next.is_some();
        if self.attempt == 0 && !free {
            return None;
        }
        if let Some(error) = self.overdue(next) {
            return Some(error);
        }
        self.unseen.next = None;
        if free || self.is_within_budget() {
            return None;
        }
        let last = self.previous.take()?;
        Some(last.with_attempts(self.attempt, self.before.take()))
    }

    fn is_within_budget(&self) -> bool {
        let budget = self.options.get_budget();
        budget.is_none_or(|budget| budget.withdraw())
    }
}

impl Unseen {
    /// gRFC A6, "Transparent Retries": what never left is sent until the deadline, what a node refused unseen is sent once more.
    /// A call without a deadline would never end so, and asks the predicate after a while. A node that cannot be connected to is
    /// another matter, which is the predicate's from the beginning.
    fn allows(&mut self, error: &Error, ends: bool) -> bool {
        if error.kind() != Kind::Transport {
            return false;
        }
        match error.disposition() {
            Disposition::NeverSent => ends || self.never_sent < UNSEEN_WITHOUT_DEADLINE,
            Disposition::Unprocessed => !std::mem::replace(&mut self.refused, true),
            _ => false,
        }
    }

    /// None before the first; then growing, so that a connection that takes nothing is not asked in a circle.
    fn pause(&mut self) -> Duration {
        let before = self.never_sent;
        self.never_sent = before.saturating_add(1);
        match before {
            0 => Duration::ZERO,
            more => (UNSEEN_FIRST * (1 << (more - 1).min(8))).min(UNSEEN_LONGEST),
        }
    }
}
