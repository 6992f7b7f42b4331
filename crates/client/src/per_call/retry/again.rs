//! What another attempt of a call begins with, and how far the call has come.

use std::{mem, time::Duration};

use http::Request;
use tower_micro_call::{Attempt, Common, Disposition, Error, Kind, Payload, Replay};

use super::head::Head;

/// Before the second request in a row that nobody saw; doubles after each.
const UNSEEN_FIRST: Duration = Duration::from_millis(25);
/// The longest such pause.
const UNSEEN_LONGEST: Duration = Duration::from_secs(1);

/// How many such requests a call without a deadline sends before the predicate is asked.
const UNSEEN_WITHOUT_DEADLINE: u32 = 16;

/// Of a call that may have more than one attempt.
#[derive(Debug)]
pub(super) struct Again {
    pub(super) payload: Payload,
    /// How many attempts may follow the first one.
    pub(super) retries: u32,
    /// The latest attempt, zero-based.
    pub(super) attempt: u32,
    /// The latest of those that follow one another, which others may have been sent beside.
    pub(super) in_turn: u32,
    /// The attempt since which the backoff grows: the last one before which a node named the pause itself.
    pub(super) grows_from: u32,
    next: Next,
    /// The pause before the next attempt, if it is not for the backoff to say.
    pub(super) pause: Option<Duration>,
    pub(super) unseen: Unseen,
    pub(super) previous: Option<Error>,
    /// How the attempt before the previous one ended.
    before: Option<Error>,
}

/// What is about to be sent.
#[derive(Debug, Default)]
enum Next {
    /// Nothing, or the first attempt.
    #[default]
    Nothing,
    /// The latest attempt.
    Attempt,
    /// The latest attempt once more: nobody saw it, for this reason.
    Unseen(Error),
}

/// Requests that were sent once more because no node acted on them. They are no attempts, and free.
#[derive(Debug, Default)]
pub(super) struct Unseen {
    never_sent: u32,
    refused: bool,
}

impl Again {
    /// After the first attempt `retries` more may follow, which send `payload`.
    #[inline]
    pub(super) fn new(payload: Payload, retries: u32) -> Self {
        Self {
            payload,
            retries,
            attempt: 0,
            in_turn: 0,
            grows_from: 0,
            next: Next::Nothing,
            pause: None,
            unseen: Unseen::default(),
            previous: None,
            before: None,
        }
    }

    /// How many attempts may follow the one under way.
    pub(super) const fn left(&self) -> u32 {
        self.retries - self.attempt
    }

    /// The attempt under way failed with `error`, and another follows.
    pub(super) fn repeat(&mut self, error: Error) {
        self.before = self.previous.replace(error);
        self.attempt += 1;
        self.in_turn = self.attempt;
        self.next = Next::Attempt;
    }

    /// Whether the latest attempt is still to be sent.
    const fn is_due(&self) -> bool {
        matches!(self.next, Next::Attempt)
    }

    /// How many attempts were sent.
    pub(super) const fn sent(&self) -> u32 {
        self.attempt + !self.is_due() as u32
    }

    /// What was due is sent, or has failed before it could be.
    pub(super) fn take_turn(&mut self) {
        self.next = Next::Nothing;
    }

    /// A node wants no more attempts. If one was due, the call has failed with this, unless another that is under way answers.
    pub(super) fn stop(&mut self) -> Option<Error> {
        self.retries = self.attempt;
        self.is_due().then(|| self.last_in_full()).flatten()
    }

    /// The same, after a pause that the node named.
    pub(super) fn repeat_after(&mut self, pause: Duration, error: Error) {
        self.repeat(error);
        self.pause = Some(pause);
        self.grows_from = self.attempt;
    }

    /// The same attempt once more: nobody saw it.
    pub(super) fn send_again(&mut self, error: Error) {
        self.pause = Some(self.unseen.pause());
        self.next = Next::Unseen(error);
    }

    /// Whether what is about to be sent is an attempt that nobody saw.
    pub(super) const fn is_unseen(&self) -> bool {
        matches!(self.next, Next::Unseen(_))
    }

    /// The request of the attempt that is about to begin; `None` if its body cannot begin again.
    pub(super) fn request<B: Replay>(&self, head: &Head, common: &Common) -> Option<Request<B>> {
        let attempt = Attempt::new(self.in_turn, self.left()).after(self.previous.clone());
        let attempt = attempt.streamed(!self.payload.is_complete());
        let payload = self.payload.replay_anew()?;
        Some(head.request(payload, common.clone(), attempt))
    }

    /// The request of an attempt beside those under way.
    pub(super) fn request_beside<B: Replay>(
        &mut self,
        head: &Head,
        common: &Common,
    ) -> Option<Request<B>> {
        let attempt = Attempt::new(self.attempt + 1, self.left() - 1);
        let attempt = attempt.after(self.previous.clone()).beside();
        let payload = self.payload.replay_anew()?;
        self.attempt += 1;
        Some(head.request(payload, common.clone(), attempt))
    }

    /// An attempt beside others failed with `error`.
    pub(super) fn failed_beside(&mut self, error: Error) {
        self.before = self.previous.replace(error);
    }

    /// The last failure beside others, and the one before it, if that was beside too.
    pub(super) fn take_beside(&mut self) -> Option<(Error, Option<Error>)> {
        let last = self.previous.take()?;
        Some((last, self.before.take()))
    }

    fn take_unseen(&mut self) -> Option<Error> {
        match mem::take(&mut self.next) {
            Next::Unseen(error) => Some(error),
            Next::Nothing | Next::Attempt => None,
        }
    }

    /// What was sent last failed with this, attempt or not.
    pub(super) fn take_last(&mut self) -> Option<Error> {
        self.take_unseen().or_else(|| self.previous.take())
    }

    /// The last attempt's failure, with the number of attempts and the one before.
    pub(super) fn last_in_full(&mut self) -> Option<Error> {
        let last = self.previous.take()?;
        Some(last.with_attempts(self.attempt, self.before.take()))
    }

    /// How the call ends if what is to be sent is not there any more.
    pub(super) fn committed(&mut self) -> Error {
        if let Some(unseen) = self.take_unseen() {
            return unseen.with_attempts(self.attempt + 1, self.previous.take());
        }
        self.last_in_full()
            .expect("an attempt failed before another is wanted")
    }
}

impl Unseen {
    /// gRFC A6, "Transparent Retries": what never left is sent until the deadline, what a node refused unseen is sent once more.
    /// A call without a deadline would never end so, and asks the predicate after a while. A node that cannot be connected to is
    /// another matter, which is the predicate's from the beginning, unless the call `waits` for one that can.
    pub(super) fn allows(&mut self, error: &Error, ends: bool, waits: bool) -> bool {
        match error.kind() {
            Kind::Transport => self.allows_unseen(error.disposition(), ends),
            Kind::Connect | Kind::Select => waits && error.disposition() == Disposition::NeverSent,
            _ => false,
        }
    }

    fn allows_unseen(&mut self, disposition: Disposition, ends: bool) -> bool {
        match disposition {
            Disposition::NeverSent => ends || self.never_sent < UNSEEN_WITHOUT_DEADLINE,
            Disposition::Unprocessed => !mem::replace(&mut self.refused, true),
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
