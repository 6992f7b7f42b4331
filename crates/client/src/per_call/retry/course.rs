//! How far a call has come, and what follows an attempt.
//!
//! The order of questions is grpc-go's (`stream.go`, `shouldRetry`), with go-micro's predicate in the place of the list of codes: was
//! the request seen by anybody; is the failure one to repeat; has the node asked for a pause, or for none at all; are attempts left;
//! is there budget, asked last, when the attempt is about to be sent.

use std::{sync::Arc, time::Duration};

use http::{Request, Response};
use tokio::time::{Instant, Sleep, sleep};
use tower_micro_call::{
    CallOptions, CallReport, Common, Deadline, Disposition, Error, Hedge, Kind, Payload, Replay,
    ResponseBody, RetryContext,
};
use tower_micro_selector::Picker;

use super::{again::Again, head::Head, pushback::Pushback};

/// How far a call has come. It is filled where it stands.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// What its attempts have in common.
    common: Option<Common>,
    /// For a call whose notes have no options.
    default: Option<Common>,
    /// If it may have more than one attempt.
    again: Option<Again>,
    /// If that is to be told.
    began: Option<Instant>,
}

/// What follows an attempt that failed.
pub(super) enum Verdict {
    Again,
    /// No other follows in turn, but an attempt beside that is under way may answer.
    Spent(Error),
    End(Error),
}

impl Course {
    /// A call begins, of which all attempts have `common` in common, with the options of `default` if that has none.
    #[inline]
    pub(super) fn begin(&mut self, common: Common, default: &Common) -> &Arc<CallOptions> {
        if common.options().is_none() {
            self.default = Some(default.clone());
        }
        self.common = Some(common);
        let options = self.options();
        let measured = options.get_hedge().is_some_and(Hedge::measures);
        if measured || options.get_report() == Some(true) {
            self.began = Some(Instant::now());
        }
        self.options()
    }

    /// It may have `retries` more attempts, which send `payload`.
    #[inline]
    pub(super) fn keep(&mut self, payload: Payload, retries: u32) {
        self.again = Some(Again::new(payload, retries));
    }

    #[inline]
    fn common(&self) -> &Common {
        self.common.as_ref().expect("it has begun")
    }

    #[inline]
    fn options(&self) -> &Arc<CallOptions> {
        let own = self.common().options();
        let options = own.or_else(|| self.default.as_ref()?.options());
        options.expect("noted, or the layer's own")
    }

    #[inline]
    pub(super) fn deadline(&self) -> Option<Deadline> {
        self.common().deadline()
    }

    const fn again(&self) -> Option<&Again> {
        self.again.as_ref()
    }

    const fn again_mut(&mut self) -> Option<&mut Again> {
        self.again.as_mut()
    }

    /// The latest attempt, zero-based.
    pub(super) fn attempt(&self) -> u32 {
        self.again().map_or(0, |again| again.attempt)
    }

    /// The one whose turn it is.
    fn in_turn(&self) -> u32 {
        self.again().map_or(0, |again| again.in_turn)
    }

    /// How many attempts were sent.
    fn sent(&self) -> u32 {
        self.again().map_or(1, Again::sent)
    }

    /// What was due is sent, or has failed before it could be.
    fn take_turn(&mut self) {
        if let Some(again) = self.again_mut() {
            again.take_turn();
        }
    }

    fn take_previous(&mut self) -> Option<Error> {
        self.again_mut().and_then(|again| again.previous.take())
    }

    fn context(&self, attempt: u32) -> RetryContext<'_> {
        RetryContext::new(attempt, self.options())
    }

    /// The pause before the attempt that is about to begin.
    #[inline]
    pub(super) fn pause(&mut self) -> Result<Option<Sleep>, Error> {
        let named = self.again_mut().and_then(|again| again.pause.take());
        let pause = match named {
            Some(pause) => pause,
            None => self.backoff()?,
        };
        Ok((!pause.is_zero()).then(|| sleep(pause)))
    }

    #[inline]
    fn backoff(&self) -> Result<Duration, Error> {
        let Some(backoff) = self.options().get_backoff() else {
            return Ok(Duration::ZERO);
        };
        let mut cx = self.context(self.in_turn());
        if let Some(again) = self.again() {
            cx = cx.with_error(again.previous.as_ref());
            cx = cx.with_untried(again.in_turn > 0 && self.has_untried());
            cx = cx.growing_from(again.grows_from);
        }
        backoff
            .delay(cx)
            .map_err(|cause| Error::backoff(&cause, self.options().spoken()))
    }

    /// Whether the next attempt can go to a node that was not tried.
    fn has_untried(&self) -> bool {
        self.common().picker().is_some_and(Picker::has_untried)
    }

    /// The predicate is asked before attempts are counted, so that it is asked after the last one too.
    pub(super) fn judge(&mut self, error: Error) -> Verdict {
        self.take_turn();
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
        match self.wants_another(self.in_turn(), &error) {
            Err(instead) => Verdict::End(instead),
            Ok(true) => self.repeat(error),
            Ok(false) if never_left(&error) => Verdict::Spent(self.ended(error)),
            Ok(false) => self.end(error),
        }
    }

    /// What the predicate says of `attempt`, which has ended with `error`.
    fn wants_another(&self, attempt: u32, error: &Error) -> Result<bool, Error> {
        match self.options().get_retry() {
            Some(policy) => policy.should_retry(self.context(attempt).with_error(Some(error))),
            None => Ok(false),
        }
    }

    fn repeat(&mut self, error: Error) -> Verdict {
        let deadline = self.deadline();
        let again = self.again_mut().filter(|again| again.left() > 0);
        let Some(again) = again else {
            return Verdict::Spent(self.ended(error));
        };
        match Pushback::of(&error, deadline) {
            Pushback::Stop => {
                let _nothing_due = again.stop();
                return Verdict::Spent(self.ended(error));
            }
            Pushback::Unsaid => again.repeat(error),
            Pushback::After(pause) => again.repeat_after(pause, error),
        }
        Verdict::Again
    }

    /// The same for `attempt`, beside others: how the call ends, unless those are waited for.
    pub(super) fn judge_beside(&mut self, attempt: u32, error: Error) -> Option<Error> {
        if error.kind() == Kind::Deadline {
            return Some(self.ended(error));
        }
        match self.wants_another(attempt, &error) {
            Err(instead) => return Some(instead),
            Ok(false) if !never_left(&error) => return Some(self.ended(error)),
            Ok(_) => {}
        }
        if let Some(again) = self.again_mut() {
            again.failed_beside(error);
        }
        None
    }

    /// A node that an attempt beside went to wants no more of them, in turn or beside: what the call has failed with, if that leaves none.
    pub(super) fn stop(&mut self) -> Option<Error> {
        self.again_mut().and_then(Again::stop)
    }

    /// The delay after which, and how often, the call is sent beside the first.
    pub(super) fn hedged(&self) -> Option<(Duration, u32)> {
        let hedge = self.options().get_hedge()?;
        let delay = hedge.delay().filter(|_| self.can_hedge());
        Some(delay.map_or((Duration::ZERO, 0), |delay| (delay, hedge.most())))
    }

    /// Whether the call may be sent to two nodes at once: only if twice is as good as once, and all of it is here.
    fn can_hedge(&self) -> bool {
        let options = self.options();
        options.get_idempotent() == Some(true)
            && options.get_streaming() != Some(true)
            && self
                .again()
                .is_some_and(|again| again.payload.is_complete())
    }

    /// How many attempts may follow, of a call that may have more than one.
    pub(super) fn left(&self) -> Option<u32> {
        self.again().map(Again::left)
    }

    /// Whether another attempt may follow.
    pub(super) fn has_left(&self) -> bool {
        self.left() > Some(0)
    }

    /// The request of an attempt beside those under way, if there may be one.
    pub(super) fn request_beside<B: Replay>(&mut self, head: &Head) -> Option<Request<B>> {
        if !self.has_left() || !self.is_within_budget() {
            return None;
        }
        let common = self.common().clone();
        self.again_mut()?.request_beside(head, &common)
    }

    /// How the call ends if every attempt has failed, the last one with `error`.
    fn ended(&mut self, error: Error) -> Error {
        let attempts = self.sent();
        error.with_attempts(attempts, self.take_previous())
    }

    /// How the call ends if those in turn have ended with `spent`, and the last one beside them has failed too.
    pub(super) fn ended_beside(&mut self, spent: &Error) -> Error {
        let (attempts, spent) = (self.sent(), spent.clone());
        let failed = self.again_mut().and_then(Again::take_beside);
        match failed {
            Some((last, before)) => last.with_attempts(attempts, before.or(Some(spent))),
            None => spent,
        }
    }

    fn end(&mut self, error: Error) -> Verdict {
        Verdict::End(self.ended(error))
    }

    /// The request of the attempt that is about to begin.
    pub(super) fn request<B: Replay>(&self, head: &Head) -> Option<Request<B>> {
        self.again()?.request(head, self.common())
    }

    /// How the call ends if there is nothing left to send: a stream of which more was read than is kept.
    pub(super) fn committed(&mut self) -> Error {
        let again = self.again_mut();
        again
            .expect("another attempt was wanted, and can be")
            .committed()
    }

    /// The budget is paid when the answer has ended well.
    #[inline]
    pub(super) fn succeed(&mut self, response: &mut Response<ResponseBody>) {
        response.body_mut().set_attempts(self.sent());
        if let Some(began) = self.began {
            self.tell(began, response);
        }
        if self.options().get_budget().is_some() {
            let paying = self.default.take().or_else(|| self.common.take());
            response
                .body_mut()
                .pay_budget_of(paying.expect("it has options"));
        }
    }

    fn tell(&self, began: Instant, response: &mut Response<ResponseBody>) {
        let options = self.options();
        if let Some(hedge) = options.get_hedge() {
            hedge.answered(began);
        }
        if options.get_report() == Some(true) {
            let attempt = response.extensions_mut().remove::<CallReport>();
            let node = attempt.and_then(|report| report.node);
            let report = CallReport::new(self.sent(), began.elapsed()).with_node(node);
            response.extensions_mut().insert(report);
        }
    }

    /// How the call ends if its deadline passes between two attempts: with the node of the last one, if there was one.
    pub(super) fn overdue(&mut self) -> Option<Error> {
        let deadline = self.deadline()?;
        if !deadline.has_passed(Instant::now()) {
            return None;
        }
        let error = Error::deadline(deadline.timeout(), self.options().spoken());
        let error = self.common().explain(error);
        let attempts = self.attempt();
        let before = self.again_mut().and_then(Again::take_last);
        let error = match before.as_ref().and_then(Error::node) {
            Some(node) => error.with_node(node),
            None => error,
        };
        Some(error.with_attempts(attempts, before))
    }

    /// How the call ends if what has waited and could be sent now may not be. A retry is paid for here and not when it was decided on, so
    /// that a call that is dropped in between has taken nothing.
    pub(super) fn refused(&mut self) -> Option<Error> {
        if let Some(error) = self.overdue() {
            return Some(error);
        }
        let free = self.again().is_some_and(Again::is_unseen);
        if self.attempt() == 0 && !free {
            return None;
        }
        if free || self.is_within_budget() {
            self.take_turn();
            return None;
        }
        self.again_mut().and_then(Again::last_in_full)
    }

    fn is_within_budget(&self) -> bool {
        let budget = self.options().get_budget();
        budget.is_none_or(|budget| budget.withdraw())
    }
}

/// Whether no node has seen the attempt, so that what came of it says nothing of those beside.
fn never_left(error: &Error) -> bool {
    let is_ours = matches!(
        error.kind(),
        Kind::Connect | Kind::Transport | Kind::Overload | Kind::Select | Kind::Other
    );
    is_ours && error.disposition() == Disposition::NeverSent
}
