//! What we are expected to do, where go-micro did what the trace shows: the differences that can be told in events.

mod stream;

use serde_json::{Value, json};

use self::stream::Opening;
use super::{
    choice::{Choice, Names},
    choices::Choices,
    client::after_client,
    events::ours,
    scenario::{Call, Input, Transport},
};

/// The events of a trace, as ours should be, or the name of the difference that makes ours others.
pub(super) fn expected(trace: &[Value], choices: &Choices) -> Result<Vec<Value>, &'static str> {
    let mut expected = Expected::new(trace, choices);
    let lost = lost_wrappers(choices.input());
    let kept = trace.iter().enumerate();
    for (_, event) in kept.filter(|(place, _)| !lost.contains(place)) {
        expected.follow(event)?;
    }
    Ok(expected.events)
}

/// Where a trace tells of wrappers around a client that is never called: after those of `NewClient`, before those of the service.
fn lost_wrappers(input: &Input) -> std::ops::Range<usize> {
    let service = input.service_options.as_deref().unwrap_or_default();
    let lost = service.len() - after_client(service).len();
    let (client, lost) = (wrappers(&input.client_options), wrappers(&service[..lost]));
    client..client + lost
}

fn wrappers(choices: &[Choice]) -> usize {
    let count = |choice: &Choice| match choice {
        Choice::Wrap(Names { names }) | Choice::WrapClient(Names { names }) => names.len(),
        _ => 0,
    };
    choices.iter().map(count).sum()
}

/// Follows a trace, and knows of an attempt that was not marked yet, and of a mark that has to wait.
struct Expected<'a> {
    choices: &'a Choices,
    input: &'a Input,
    /// How each call ended.
    results: Vec<&'a Value>,
    call: usize,
    /// What happens to the stream that is being opened.
    opening: Opening,
    open: Option<Value>,
    late: Option<Value>,
    /// Whether the transport's last word was an error.
    failed_last: bool,
    events: Vec<Value>,
}

impl<'a> Expected<'a> {
    fn new(trace: &'a [Value], choices: &'a Choices) -> Self {
        let results = trace.iter().filter(|event| event["ev"] == "result");
        Self {
            choices,
            input: choices.input(),
            results: results.collect(),
            call: 0,
            opening: Opening::default(),
            open: None,
            late: None,
            failed_last: false,
            events: Vec::new(),
        }
    }

    fn call(&self) -> &Call {
        &self.input.calls[self.call.min(self.input.calls.len() - 1)]
    }

    fn follow(&mut self, event: &Value) -> Result<(), &'static str> {
        let is_of_client = event["layer"] == "client";
        match event["ev"].as_str().unwrap_or_default() {
            "begin" => self.call = event["call"].as_u64().unwrap_or_default() as usize,
            "call_done" => self.failed_last = !event["err"].is_null(),
            "next" if event["err"].is_null() => self.open = Some(event.clone()),
            "call" if event["node_id"] == "" => self.open = Some(event.clone()),
            "mark" => self.open = None,
            "result" => {
                self.abandon();
                self.events.extend(self.late.take());
            }
            "exit" if is_of_client => self.abandon(),
            _ => {}
        }
        if self.call().is_stream() {
            return self.follow_stream(event);
        }
        if self.is_marked_at_the_end(event) {
            self.late = Some(event.clone());
        } else if !self.is_after_cancellation(event) {
            self.events.push(self.answered(event));
        }
        Ok(())
    }

    /// In Go an attempt fills the caller's response, and what it filled stays though a wrapper throws its success away. Ours is a
    /// value: without the attempt's there is none.
    fn answered(&self, event: &Value) -> Value {
        let mut event = event.clone();
        if self.failed_last && event["rsp"].is_string() {
            event["rsp"] = "".into();
        }
        event
    }

    /// A success is one when the response has ended. Over a wire that is after wrappers have returned it, and before the caller has it.
    fn is_marked_at_the_end(&self, event: &Value) -> bool {
        let is_success = event["ev"] == "mark" && event["err"].is_null();
        is_success && self.input.transport == Transport::Real
    }

    /// An attempt that go-micro leaves behind goes on there, and is marked when it ends. Ours is dropped, and its node is marked
    /// before the call ends.
    fn abandon(&mut self) {
        let Some(node) = self.open.take() else {
            return;
        };
        let cancels = self.call().ctx.cancel_after_ms.is_some();
        self.events.push(json!({
            "ev": "mark",
            "service": self.input.service,
            "node_id": node["node_id"],
            "addr": node["addr"],
            "err": ours(if cancels { "cancelled" } else { "timed out" }),
        }));
    }

    /// A call is cancelled by dropping it: then nobody is told of its end.
    fn is_after_cancellation(&self, event: &Value) -> bool {
        let is_end = event["ev"] == "result" || event["ev"] == "exit";
        is_end
            && self.call().ctx.cancel_after_ms.is_some()
            && (event["err"]["detail"] == "context canceled" || stream::is_cancelled(event))
    }
}
