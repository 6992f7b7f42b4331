//! What a scenario's options become: options of ours, with backoffs and predicates that write down what they are asked.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tower_micro::{
    Backoff, CallOptions, Context, Dialect, Error, Filter, Next, Preset, RetryContext, RetryPolicy,
    per_call::retry::{GoMicroBackoff, RetryOnCodes},
};

use super::{
    choice::{Behaviour, Choice, Delays, Policy},
    events::shown,
    recorder::Recorder,
    scenario::Input,
    wrappers::{Place, Wrapper},
};

/// Turns choices into options. Clones share everything.
#[derive(Clone, Debug)]
pub(super) struct Choices {
    input: Arc<Input>,
    recorder: Recorder,
    preset: Preset,
}

impl Choices {
    pub(super) const fn new(input: Arc<Input>, recorder: Recorder, preset: Preset) -> Self {
        Self {
            input,
            recorder,
            preset,
        }
    }

    pub(super) const fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    pub(super) const fn preset(&self) -> Preset {
        self.preset
    }

    pub(super) fn input(&self) -> &Input {
        &self.input
    }

    /// Whose words errors are told in.
    pub(super) const fn dialect(&self) -> Dialect {
        match self.preset {
            Preset::GoMicroV2 => Dialect::GoMicroV2,
            _ => Dialect::GoMicroV4,
        }
    }

    /// Whether the predicate of this name is go-micro's own.
    pub(super) fn is_default_policy(&self, name: &str) -> bool {
        let policy = self.input.retry_policies.get(name);
        policy.is_none_or(|policy| matches!(policy, Policy::Default))
    }

    /// What the predicate of this name says of `error`, as it writes it down.
    pub(super) fn verdict(&self, name: &str, attempt: u32, error: &Error) -> Value {
        let aside = Self::new(Arc::clone(&self.input), Recorder::default(), self.preset);
        let options = CallOptions::new();
        let cx = RetryContext::new(attempt, &options).with_error(Some(error));
        // What it fails with is written down too.
        let _ = aside.policy(name).should_retry(cx);
        aside.recorder.events().remove(0)
    }

    /// What the wrapper of this name does; it passes the call on if nothing is said.
    pub(super) fn behaviour(&self, name: &str) -> Behaviour {
        self.input.wrappers.get(name).cloned().unwrap_or_default()
    }

    /// `options` with all of `choices`, in order.
    pub(super) fn all(&self, options: CallOptions, choices: &[Choice]) -> CallOptions {
        choices
            .iter()
            .fold(options, |options, choice| self.chosen(options, choice))
    }

    /// `options` with `choice`. What has no counterpart, or a door of its own, changes nothing.
    pub(super) fn chosen(&self, options: CallOptions, choice: &Choice) -> CallOptions {
        match choice {
            Choice::Retries { n } => options.retries(unsigned(*n)),
            Choice::RequestTimeout { ms } => options.timeout(time(*ms)),
            Choice::StreamTimeout { ms } => options.stream_timeout(time(*ms)),
            Choice::DialTimeout { ms } => options.connect_timeout(time(*ms)),
            Choice::Backoff { name } => options.backoff(self.backoff(name)),
            Choice::Retry { name } => options.retry(self.policy(name)),
            Choice::WithAddress { addrs } => options.address(addrs),
            Choice::WithSelectOption { key, val } => options.filter(filter(key, val)),
            Choice::WrapCall(wrappers) => {
                let names = wrappers.names.iter();
                names.fold(options, |options, name| self.wrapped(options, name))
            }
            Choice::Client
            | Choice::Wrap(_)
            | Choice::WrapClient(_)
            | Choice::ContentType { .. }
            | Choice::WithCache { .. } => options,
        }
    }

    fn wrapped(&self, options: CallOptions, name: &str) -> CallOptions {
        let wrapper = Wrapper::new(name, Place::Call, self);
        options
            .call_wrapper(move |_: Context, request, next: Next| wrapper.clone().run(request, next))
    }

    fn backoff(&self, name: &str) -> RecordingBackoff {
        RecordingBackoff {
            name: name.to_owned(),
            delays: self.input.backoffs.get(name).cloned().unwrap_or_default(),
            recorder: self.recorder.clone(),
        }
    }

    fn policy(&self, name: &str) -> RecordingPolicy {
        let policy = self.input.retry_policies.get(name);
        RecordingPolicy {
            name: name.to_owned(),
            policy: policy.cloned().unwrap_or(Policy::Default),
            default: retried(self.preset),
            recorder: self.recorder.clone(),
        }
    }
}

/// `client.DefaultRetry` of the version.
pub(super) const fn retried(preset: Preset) -> RetryOnCodes {
    match preset {
        Preset::GoMicroV2 => RetryOnCodes::GO_MICRO_V2,
        _ => RetryOnCodes::GO_MICRO_V4,
    }
}

/// Negative numbers of retries are not applicable and never come here.
fn unsigned(number: i64) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

/// A time that is negative in Go has passed, as zero has.
fn time(milliseconds: i64) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or_default())
}

fn filter(key: &str, value: &str) -> Filter {
    match (key, key.strip_prefix("label:")) {
        (_, Some(label)) => Filter::label(label, value),
        ("version", None) => Filter::version(value),
        _ => Filter::endpoint(value),
    }
}

/// Answers as a scenario says, and writes down the question.
#[derive(Debug)]
struct RecordingBackoff {
    name: String,
    delays: Delays,
    recorder: Recorder,
}

impl Backoff for RecordingBackoff {
    fn delay(&self, cx: RetryContext<'_>) -> Result<Duration, Error> {
        let attempt = cx.attempt as usize;
        let failure = self.delays.errs.get(attempt).and_then(Option::as_ref);
        let delay = match self.delays.kind {
            Some(_) => i64::try_from(GoMicroBackoff.delay(cx)?.as_millis()).unwrap_or(i64::MAX),
            None => self.delays.ms.get(attempt).copied().unwrap_or_default(),
        };
        self.recorder.add(json!({
            "ev": "backoff",
            "fn": self.name,
            "attempt": attempt,
            "ret_ms": delay,
            "err": failure.map(super::choice::Failure::shown),
        }));
        failure.map_or_else(|| Ok(time(delay)), |failure| Err(failure.made()))
    }
}

/// Answers as a scenario says, and writes down question and answer.
#[derive(Debug)]
struct RecordingPolicy {
    name: String,
    policy: Policy,
    default: RetryOnCodes,
    recorder: Recorder,
}

impl RetryPolicy for RecordingPolicy {
    fn should_retry(&self, cx: RetryContext<'_>) -> Result<bool, Error> {
        let (retry, failure) = match &self.policy {
            Policy::Default => (self.default.should_retry(cx)?, None),
            Policy::Always => (true, None),
            Policy::Never => (false, None),
            Policy::Script { script } => {
                let verdict = script.get(cx.attempt as usize).or(script.last());
                let verdict = verdict.cloned().unwrap_or_default();
                (verdict.retry, verdict.err)
            }
        };
        self.recorder.add(json!({
            "ev": "retry",
            "fn": self.name,
            "attempt": cx.attempt,
            "err": cx.error.map(shown),
            "ret": retry,
            "ret_err": failure.as_ref().map(super::choice::Failure::shown),
        }));
        failure.map_or(Ok(retry), |failure| Err(failure.made()))
    }
}
