//! What we are expected to do, where go-micro did what the trace shows: the differences that can be told in events.

mod stream;

use serde_json::{Value, json};
use tower_micro::Preset;

use self::stream::Opening;
use super::{
    choice::{Choice, Names},
    choices::Choices,
    client::after_client,
    deliberate::is_refused,
    events::ours,
    scenario::{Call, Input, Transport},
};

/// What the wrappers of go-micro v2's `NewService` send along.
const OF_THE_SERVICE: [&str; 3] = ["Micro-From-Service", "Micro-Trace-Id", "Micro-Span-Id"];

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
    /// Whether the call was cancelled.
    cancelled: bool,
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
            cancelled: false,
            events: Vec::new(),
        }
    }

    fn call(&self) -> &Call {
        &self.input.calls[self.call.min(self.input.calls.len() - 1)]
    }

    fn follow(&mut self, event: &Value) -> Result<(), &'static str> {
        let is_of_client = event["layer"] == "client";
        if begins_again(event) {
            self.events.extend(self.late.take());
        }
        match event["ev"].as_str().unwrap_or_default() {
            "begin" => self.begin(event),
            "call_done" => self.failed_last = !event["err"].is_null(),
            "next" if event["err"].is_null() => self.open = Some(event.clone()),
            "call" if event["node_id"] == "" => self.open = Some(event.clone()),
            "mark" => self.open = None,
            "result" => {
                self.end(event);
                self.events.extend(self.late.take());
            }
            "exit" if is_of_client => self.end(event),
            // Once more within a call: a wrapper's second, whose first has left an attempt behind.
            "select" if self.open.is_some() => self.end(event),
            _ => {}
        }
        if self.cancelled {
            return Ok(());
        }
        if self.call().is_stream() {
            return self.follow_stream(event);
        }
        if self.is_marked_at_the_end(event) {
            self.late = Some(event.clone());
        } else {
            self.events.push(self.answered(event));
        }
        Ok(())
    }

    fn begin(&mut self, event: &Value) {
        self.call = event["call"].as_u64().unwrap_or_default() as usize;
        self.cancelled = false;
        self.opening = Opening::default();
    }

    /// The call has ended inside of the wrappers, or altogether. One is cancelled by dropping it: then nobody is told of its end, and
    /// no wrapper does anything more.
    fn end(&mut self, event: &Value) {
        let is_told = is_cancelled(event) || stream::is_cancelled(event);
        // A wrapper may have thrown the error away; an attempt that was left behind tells of it.
        let is_left = self.open.is_some() && event["err"]["code"] != 408;
        let now = self.call().ctx.cancel_after_ms.is_some() && (is_told || is_left);
        self.abandon(now);
        self.cancelled |= now;
    }

    /// In Go an attempt fills the caller's response, and what it filled stays though a wrapper throws its success away. Ours is a
    /// value: without the attempt's there is none.
    fn answered(&self, event: &Value) -> Value {
        let mut event = self.without_unsent(event);
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

    /// What goes out with a call, but for what ours does not send (`metadata-names`, `metadata-empty`, `service-wrappers`) or has no
    /// option for (`service-token`).
    fn without_unsent(&self, event: &Value) -> Value {
        let mut event = event.clone();
        if let Some(Value::Object(options)) = event.get_mut("opts") {
            options.remove("service_token");
            options.remove("cache_expiry_ms");
        }
        if let Some(Value::Object(sent)) = event.get_mut("md") {
            sent.retain(|key, value| self.is_sent(key, value.as_str().unwrap_or_default()));
        }
        event
    }

    fn is_sent(&self, key: &str, value: &str) -> bool {
        let is_added = self.input.service_options.is_some()
            && self.choices.preset() == Preset::GoMicroV2
            && OF_THE_SERVICE.contains(&key)
            && !self.input.sets(self.call(), key);
        !value.is_empty() && !is_refused(key, value) && !is_added
    }

    /// An attempt that go-micro leaves behind goes on there, and is marked when it ends. Ours is dropped, and its node is marked
    /// before the call ends.
    fn abandon(&mut self, cancelled: bool) {
        let Some(node) = self.open.take() else {
            return;
        };
        self.events.push(json!({
            "ev": "mark",
            "service": self.input.service,
            "node_id": node["node_id"],
            "addr": node["addr"],
            "err": ours(if cancelled { "cancelled" } else { "timed out" }),
        }));
    }
}

/// Whether a wrapper may have begun its call once more: it has read the first answer to its end then.
fn begins_again(event: &Value) -> bool {
    match event["ev"].as_str() {
        Some("enter") => event["layer"] == "client",
        Some("select") => true,
        Some("backoff") => event["attempt"] == 0,
        _ => false,
    }
}

/// Whether a call has ended with what go-micro's client says of a context that was cancelled.
fn is_cancelled(event: &Value) -> bool {
    let err = &event["err"];
    err["code"] == 408 && err["detail"] == "context canceled"
}
