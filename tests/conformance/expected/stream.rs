//! Streams: a go-micro stream that is open is one of ours that is on its way.

use std::time::Duration;

use serde_json::Value;
use tower_micro::{Dialect, Error, Kind, Preset, ServiceName};

use super::Expected;
use crate::conformance::{
    choice::Choice,
    choices::Choices,
    client::after_client,
    events::{not_selected, ours, shown, told},
    scenario::Call,
};

/// What happens to a stream that is being opened (`stream-opening`).
#[derive(Debug, Default)]
pub(super) struct Opening {
    /// How many attempts failed, and how the last of them did.
    failures: u32,
    failed: Option<Error>,
    /// What the node says to a stream that go-micro has opened by then, if that is a refusal.
    refused: Option<Error>,
}

/// How a stream ends that was open.
struct End {
    /// What the node is marked with.
    mark: Value,
    /// What ours is not opened with: the node had not said anything before.
    refused: Option<Error>,
    /// Whether the caller cancelled it before the node had said anything.
    unopened: bool,
}

impl End {
    fn marked(mark: Value) -> Self {
        Self {
            mark,
            refused: None,
            unopened: false,
        }
    }

    /// By the steps that were taken: at the first receive that failed, or by being let go of.
    fn of(result: &Value, call: &Call, dialect: Dialect) -> Self {
        let mut heard = false;
        for step in steps(result) {
            let err = &step["err"];
            let is_cancelled = err["code"] == 1 && call.ctx.cancel_after_ms.is_some();
            match step["step"].as_str() {
                Some("close") => break,
                Some("recv") if err.is_null() => heard = true,
                Some("recv") if err["type"] == "eof" => return Self::marked(Value::Null),
                Some("recv") if is_cancelled => {
                    let unopened = !heard;
                    let end = Self::marked(ours("cancelled"));
                    return Self { unopened, ..end };
                }
                Some("recv") => {
                    let (error, mark) = failed(err, call, dialect);
                    let refused = (!heard).then_some(error);
                    let end = Self::marked(mark);
                    return Self { refused, ..end };
                }
                _ => {}
            }
        }
        Self::marked(ours("cancelled"))
    }
}

/// What a receive fails with, and what its node is marked with.
fn failed(err: &Value, call: &Call, dialect: Dialect) -> (Error, Value) {
    if err["code"] == 4 && call.ctx.deadline_ms.is_some() {
        return (Error::deadline(Duration::ZERO, dialect), ours("timed out"));
    }
    let error = told(err, dialect);
    let mark = shown(&error);
    (error, mark)
}

fn steps(result: &Value) -> impl Iterator<Item = &Value> {
    result["steps"].as_array().into_iter().flatten()
}

/// Whether a receive of a stream that was not closed has ended as cancelled.
pub(super) fn is_cancelled(result: &Value) -> bool {
    let mut open = steps(result).take_while(|step| step["step"] != "close");
    open.any(|step| step["err"]["type"] == "grpc" && step["err"]["code"] == 1)
}

impl Expected<'_> {
    /// The same for an event of a stream.
    pub(super) fn follow_stream(&mut self, event: &Value) -> Result<(), &'static str> {
        let mut event = event.clone();
        self.opening.see(&event, self.choices);
        match event["ev"].as_str().unwrap_or_default() {
            "mark" if event["err"].is_null() => return self.opened(event),
            "retry" => event = self.asked_again(event)?,
            "exit" if event["err"].is_null() => {
                event["err"] = self.opening.refused.as_ref().map_or(Value::Null, shown);
            }
            "result" => {
                self.opening = Opening::default();
                self.taken(&mut event);
            }
            _ => {}
        }
        self.events.push(event);
        Ok(())
    }

    /// go-micro marks the node when it is open; ours is marked when it has ended, or could not be opened (`stream-mark-at-end`).
    fn opened(&mut self, mut mark: Value) -> Result<(), &'static str> {
        let result = self.results.get(self.call).copied();
        let result = result.unwrap_or(&Value::Null);
        let end = End::of(result, self.call(), self.choices.dialect());
        mark["err"] = end.mark;
        if end.unopened {
            self.events.push(mark);
            self.cancelled = true;
            return Ok(());
        }
        let Some(refused) = end.refused else {
            self.late = Some(mark);
            return Ok(());
        };
        self.events.push(mark);
        let is_asked = refused.kind() != Kind::Deadline;
        self.opening.failed = Some(refused.clone());
        self.opening.refused = Some(refused);
        match is_asked {
            true => self.ask(),
            false => Ok(()),
        }
    }

    /// The predicate is asked about a refusal.
    fn ask(&mut self) -> Result<(), &'static str> {
        let policy = self.in_force().rev().find_map(|choice| match choice {
            Choice::Retry { name } => Some(name.clone()),
            _ => None,
        });
        let attempt = self.opening.failures;
        let verdict = self.asked(policy.as_deref().unwrap_or_default(), attempt, false)?;
        if !verdict["ret_err"].is_null() {
            return Err("stream-predicate");
        }
        if policy.is_some() {
            self.events.push(verdict);
        }
        Ok(())
    }

    /// The predicate is given the error, where go-micro's is given nil: go-micro's own may say something else then.
    fn asked_again(&self, mut event: Value) -> Result<Value, &'static str> {
        let name = event["fn"].as_str().unwrap_or_default();
        let attempt = event["attempt"].as_u64().and_then(|n| n.try_into().ok());
        if self.choices.is_default_policy(name) {
            let (attempt, ret) = (attempt.unwrap_or(u32::MAX), event["ret"] == true);
            return self.asked(name, attempt, ret);
        }
        event["err"] = self.opening.failed.as_ref().map_or(Value::Null, shown);
        Ok(event)
    }

    /// What a predicate says of the attempt that has just failed, where go-micro said `answered`; the last word makes no attempt.
    fn asked(&self, name: &str, attempt: u32, answered: bool) -> Result<Value, &'static str> {
        let failed = self.opening.failed.as_ref();
        let failed = failed.expect("an attempt fails before the predicate is asked");
        let verdict = self.choices.verdict(name, attempt, failed);
        if verdict["ret"] != answered && attempt < self.retries() {
            return Err("stream-predicate");
        }
        Ok(verdict)
    }

    fn retries(&self) -> u32 {
        let asked = self.in_force().rev().find_map(|choice| match choice {
            Choice::Retries { n } => Some(u32::try_from(*n).unwrap_or_default()),
            _ => None,
        });
        asked.unwrap_or(match self.choices.preset() {
            Preset::GoMicroV2 => 1,
            _ => 5,
        })
    }

    /// All options that a call is made with, the last word last.
    fn in_force(&self) -> impl DoubleEndedIterator<Item = &Choice> {
        let input = self.input;
        let service = input.service_options.as_deref().unwrap_or_default();
        let of_client = input.client_options.iter().chain(&input.client_init);
        let of_service = of_client.chain(after_client(service));
        of_service.chain(&self.call().options)
    }

    /// The steps as ours are shown: an error is code and message, and `stream.Error()` has no counterpart (`stream-raw-status`); a
    /// stream that was closed is gone (`stream-close`).
    fn taken(&self, result: &mut Value) {
        let mut closed = false;
        for step in result["steps"].as_array_mut().into_iter().flatten() {
            let step = step.as_object_mut().expect("a step is an object");
            step.remove("stream_error");
            if let Some(err) = step.get_mut("err").and_then(Value::as_object_mut) {
                err.remove("name");
                err.remove("details");
            }
            if step["step"] == "close" {
                closed = true;
            } else if closed && step["step"] != "sleep" {
                step.remove("msg");
                step.insert("err".to_owned(), ours("closed"));
            }
        }
    }
}

impl Opening {
    /// How an attempt has failed, which the predicate is told.
    fn see(&mut self, event: &Value, choices: &Choices) {
        let (err, dialect) = (&event["err"], choices.dialect());
        if err.is_null() {
            return;
        }
        let service = &choices.input().service;
        self.failed = match event["ev"].as_str() {
            Some("mark") => Some(told(err, dialect)),
            Some("next") => {
                let service = ServiceName::new(service).expect("it was looked up");
                Some(Error::select(&service, not_selected(err), dialect))
            }
            Some("backoff") => Some(Error::backoff(&told(err, dialect), dialect)),
            _ => return,
        };
        self.failures += 1;
    }
}
