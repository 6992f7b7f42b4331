//! How far a call has come, and what follows an attempt.
//!
//! The order of questions is grpc-go's (`stream.go`, `shouldRetry`), with go-micro's predicate in the place of the list of codes: was
//! the request seen by anybody; is the failure one to repeat; has the node asked for a pause, or for none at all; are attempts left;
//! is there budget, asked last, when the attempt is about to be sent.

use std::{sync::Arc, time::Duration};

use http::{Request, Response};
use tokio::time::{Instant, Sleep, sleep};
use tower_micro_call::{
    CallOptions, CallReport, Deadline, Error, Hedge, Kind, Notes, Replay, ResponseBody,
    RetryContext,
};

use super::{again::Again, pushback::Pushback};

/// How far a call has come.
#[derive(Debug)]
pub(super) struct Course {
    kept: Kept,
    /// If that is to be told.
    began: Option<Instant>,
}

/// What is kept of the call.
#[derive(Debug)]
enum Kept {
    /// It has one attempt.
    Once {
        options: Arc<CallOptions>,
        deadline: Option<Deadline>,
    },
    /// It may have more.
    Repeatable(Box<Again>),
}

/// What follows an attempt that failed.
pub(super) enum Verdict {
    Again,
    /// No attempt is left, but one would follow if there were.
    Spent(Error),
    End(Error),
}

impl Course {
    /// Of a call that cannot be repeated.
    pub(super) fn once(options: Arc<CallOptions>, deadline: Option<Deadline>) -> Self {
        Self::new(Kept::Once { options, deadline })
    }

    /// Of one that may be.
    pub(super) fn repeatable(again: Box<Again>) -> Self {
        Self::new(Kept::Repeatable(again))
    }

    fn new(kept: Kept) -> Self {
        let mut course = Self { kept, began: None };
        let options = course.options();
        let measured = options.get_hedge().is_some_and(Hedge::measures);
        if measured || options.get_report() == Some(true) {
            course.began = Some(Instant::now());
        }
        course
    }

    fn options(&self) -> &Arc<CallOptions> {
        match &self.kept {
            Kept::Once { options, .. } => options,
            Kept::Repeatable(again) => again.options(),
        }
    }

    fn deadline(&self) -> Option<Deadline> {
        match &self.kept {
            Kept::Once { deadline, .. } => *deadline,
            Kept::Repeatable(again) => again.deadline(),
        }
    }

    const fn again(&self) -> Option<&Again> {
        match &self.kept {
            Kept::Once { .. } => None,
            Kept::Repeatable(again) => Some(again),
        }
    }

    const fn again_mut(&mut self) -> Option<&mut Again> {
        match &mut self.kept {
            Kept::Once { .. } => None,
            Kept::Repeatable(again) => Some(again),
        }
    }

    /// The attempt under way, zero-based.
    fn attempt(&self) -> u32 {
        self.again().map_or(0, |again| again.attempt)
    }

    fn take_previous(&mut self) -> Option<Error> {
        self.again_mut().and_then(|again| again.previous.take())
    }

    fn context(&self) -> RetryContext<'_> {
        RetryContext::new(self.attempt(), self.options())
    }

    /// The pause before the attempt that is about to begin.
    pub(super) fn pause(&mut self) -> Result<Option<Sleep>, Error> {
        let named = self.again_mut().and_then(|again| again.pause.take());
        let pause = match named {
            Some(pause) => pause,
            None => self.backoff()?,
        };
        Ok((!pause.is_zero()).then(|| sleep(pause)))
    }

    fn backoff(&self) -> Result<Duration, Error> {
        let Some(backoff) = self.options().get_backoff() else {
            return Ok(Duration::ZERO);
        };
        let mut cx = self.context();
        if let Some(again) = self.again() {
            cx = cx.with_error(again.previous.as_ref());
            cx = cx.with_untried(again.has_untried());
            cx = cx.growing_from(again.grows_from);
        }
        backoff
            .delay(cx)
            .map_err(|cause| Error::backoff(&cause, self.options().spoken()))
    }

    /// The predicate is asked before attempts are counted, so that it is asked after the last one too.
    pub(super) fn judge(&mut self, error: Error) -> Verdict {
        if error.kind() == Kind::Deadline {
            return self.end(error);
        }
        let ends = self.deadline().is_some();
        let waits = self.options().get_wait_for_ready() == Some(true);
        if let Some(again) = self.again_mut()
            && again.unseen.allows(&error, ends, waits)
        {
            again.send_again(error);
            return Verdict::Again;
        }
        match self.wants_another(&error) {
            Err(instead) => Verdict::End(instead),
            Ok(true) => self.repeat(error),
            Ok(false) => self.end(error),
        }
    }

    /// What the predicate says.
    fn wants_another(&self, error: &Error) -> Result<bool, Error> {
        match self.options().get_retry() {
            Some(policy) => policy.should_retry(self.context().with_error(Some(error))),
            None => Ok(false),
        }
    }

    fn repeat(&mut self, error: Error) -> Verdict {
        let again = self.again_mut().filter(|again| again.left() > 0);
        let Some(again) = again else {
            return Verdict::Spent(self.ended(error));
        };
        match Pushback::of(&error) {
            Pushback::Stop => return self.end(error),
            Pushback::Unsaid => again.repeat(error),
            Pushback::After(pause) => again.repeat_after(pause, error),
        }
        Verdict::Again
    }

    /// The same for an attempt beside others: how the call ends, unless those are waited for.
    pub(super) fn judge_beside(&mut self, error: Error) -> Option<Error> {
        if error.kind() == Kind::Deadline {
            return Some(self.ended(error));
        }
        match self.wants_another(&error) {
            Err(instead) => return Some(instead),
            Ok(false) => return Some(self.ended(error)),
            Ok(true) => {}
        }
        if let Some(again) = self.again_mut() {
            again.failed_beside(error);
        }
        None
    }

    /// The delay after which, and how often, the call is sent beside the first.
    pub(super) fn hedged(&self) -> Option<(Duration, u32)> {
        let again = self.again()?;
        let hedge = again.options().get_hedge()?;
        let delay = hedge.delay().filter(|_| again.can_hedge());
        Some(delay.map_or((Duration::ZERO, 0), |delay| (delay, hedge.most())))
    }

    /// The request of an attempt beside those under way, if there may be one.
    pub(super) fn request_beside<B: Replay>(&mut self) -> Option<Request<B>> {
        let left = self.again().is_some_and(|again| again.left() > 0);
        if !left || !self.is_within_budget() {
            return None;
        }
        self.again_mut().and_then(Again::request_beside)
    }

    /// How the call ends if every attempt has failed, the last one with `error`.
    fn ended(&mut self, error: Error) -> Error {
        let attempts = self.attempt() + 1;
        error.with_attempts(attempts, self.take_previous())
    }

    fn end(&mut self, error: Error) -> Verdict {
        Verdict::End(self.ended(error))
    }

    /// The request of the attempt that is about to begin.
    pub(super) fn request<B: Replay>(&self) -> Option<Request<B>> {
        self.again().and_then(Again::request)
    }

    /// How the call ends if there is nothing left to send: a stream of which more was read than is kept.
    pub(super) fn committed(&mut self) -> Error {
        let again = self.again_mut();
        again
            .expect("another attempt was wanted, and can be")
            .committed()
    }

    /// The budget is paid when the answer has ended well.
    pub(super) fn succeed(&self, response: &mut Response<ResponseBody>) {
        let options = self.options();
        if options.get_budget().is_some() {
            let began = self.deadline().and_then(began);
            let body = response.body_mut();
            body.pay_budget_of(Arc::clone(options), began);
        }
        let Some(began) = self.began else { return };
        if let Some(hedge) = options.get_hedge() {
            hedge.answered(began);
        }
        if options.get_report() == Some(true) {
            let attempt = response.extensions_mut().remove::<CallReport>();
            let node = attempt.and_then(|report| report.node);
            let report = CallReport::new(self.attempt() + 1, began.elapsed()).with_node(node);
            response.extensions_mut().insert(report);
        }
    }

    /// How the call ends if its deadline passes between two attempts: with the node of the last one, if there was one.
    pub(super) fn overdue<B>(&mut self, next: Option<&Request<B>>) -> Option<Error> {
        let deadline = self.deadline()?;
        if !deadline.has_passed(Instant::now()) {
            return None;
        }
        let error = Error::deadline(deadline.timeout(), self.options().spoken());
        let notes = next.and_then(|next| Notes::of(next.extensions()));
        let error = match notes.and_then(Notes::service) {
            Some(service) => error.with_service(service),
            None => error,
        };
        let attempts = self.attempt();
        let before = self.again_mut().and_then(Again::take_last);
        let error = match before.as_ref().and_then(Error::node) {
            Some(node) => error.with_node(node),
            None => error,
        };
        Some(error.with_attempts(attempts, before))
    }

    /// How the call ends if the retry that could be sent now may not be. It is paid for here and not when it was decided on, so that a
    /// call that is dropped in between has taken nothing.
    pub(super) fn refused<B>(&mut self, next: Option<&Request<B>>) -> Option<Error> {
        let free = self.again().is_some_and(Again::is_unseen);
        if self.attempt() == 0 && !free {
            return None;
        }
        if let Some(error) = self.overdue(next) {
            return Some(error);
        }
        if free || self.is_within_budget() {
            self.again_mut().into_iter().for_each(Again::forget_unseen);
            return None;
        }
        self.again_mut().and_then(Again::last_in_full)
    }

    fn is_within_budget(&self) -> bool {
        let budget = self.options().get_budget();
        budget.is_none_or(|budget| budget.withdraw())
    }
}

/// When the call began that has `deadline`: no clock need be asked.
fn began(deadline: Deadline) -> Option<Instant> {
    deadline.instant().checked_sub(deadline.timeout())
}
