//! Replays a file and says how it went.

use std::{
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tower_micro::Preset;

use crate::support::words_of;

use super::{
    call,
    choice::Choice,
    choices::Choices,
    compare::Comparison,
    deliberate,
    expected::expected,
    functions,
    recorder::Recorder,
    scenario::{Call, Input, Scenario, Traces, Transport},
};

/// How one scenario went.
enum End {
    Replayed,
    Differs(String),
    /// Why: the name of a difference that is meant, or what is not known here.
    NotApplicable(String),
    /// Publishing, servers, and go-micro's own transport.
    OutOfScope,
}

/// How a file went.
#[derive(Debug, Default)]
pub(super) struct Report {
    replayed: usize,
    out_of_scope: usize,
    differ: Vec<Line>,
    not_applicable: Vec<Line>,
}

/// The id of a scenario, and what there is to say of it.
type Line = (String, String);

impl Report {
    /// Replays all of `traces` that is in scope.
    pub(super) fn of(traces: &Traces) -> Self {
        let mut report = Self::default();
        for scenario in &traces.scenarios {
            let line = |text| (scenario.id.clone(), text);
            match end_of(scenario, &traces.go_micro) {
                End::Replayed => report.replayed += 1,
                End::OutOfScope => report.out_of_scope += 1,
                End::Differs(difference) => report.differ.push(line(difference)),
                End::NotApplicable(reason) => report.not_applicable.push(line(reason)),
            }
        }
        report
    }

    /// Whether scenarios were replayed, and every one went as recorded.
    pub(super) fn is_clean(&self) -> bool {
        self.differ.is_empty() && self.replayed > 0
    }

    /// Why scenarios were not applicable.
    pub(super) fn reasons(&self) -> impl Iterator<Item = &str> {
        self.not_applicable
            .iter()
            .map(|(_, reason)| reason.as_str())
    }

    /// Writes past what libtest captures, in one piece.
    pub(super) fn print(&self, file: &str) {
        let Self {
            replayed,
            out_of_scope,
            differ,
            not_applicable,
        } = self;
        let (many, none) = (differ.len(), not_applicable.len());
        let mut text = format!(
            "\nconformance {file}: {replayed} replayed, {many} differ, {none} not applicable \
             ({out_of_scope} out of scope: publishing, servers, mucp)\n"
        );
        for (id, difference) in differ {
            text += &format!("  differs: {id}: {difference}\n");
        }
        for (id, reason) in not_applicable {
            text += &format!("  not applicable: {id}: {reason}\n");
        }
        // Nobody to tell if there is no terminal.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

/// The preset of a version, and what of it is replayed.
fn preset_of(version: &str) -> Option<Preset> {
    match version {
        version if version.starts_with("v2.") => Some(Preset::GoMicroV2),
        version if version.starts_with("v4.") => Some(Preset::GoMicroV4),
        _ => None,
    }
}

fn end_of(scenario: &Scenario, go_micro: &str) -> End {
    let (version, part) = scenario.of.split_once('/').unwrap_or(("", &scenario.of));
    let Some(preset) = preset_of(version).or_else(|| preset_of(go_micro)) else {
        return End::NotApplicable(functions::unknown(&scenario.of));
    };
    let replay = || match part {
        "function" => function(scenario, preset),
        "grpc" if publishes(&scenario.input) => Ok(End::OutOfScope),
        "grpc" => client(scenario, preset),
        "rpc" | "server" => Ok(End::OutOfScope),
        other => Err(functions::unknown(other)),
    };
    match catch_unwind(AssertUnwindSafe(replay)) {
        Ok(end) => end.unwrap_or_else(End::NotApplicable),
        Err(panic) => End::Differs(format!("panicked: {}", words_of(&*panic))),
    }
}

/// Whether a scenario is about more than calls and streams.
fn publishes(input: &Value) -> bool {
    let calls = input["calls"].as_array().map_or(&[][..], Vec::as_slice);
    calls.iter().any(|call| call["op"] == "publish")
}

fn function(scenario: &Scenario, preset: Preset) -> Result<End, String> {
    let Scenario {
        category,
        input,
        expect,
        ..
    } = scenario;
    let replay = functions::replay(category, input, expect, preset);
    let difference = standing().block_on(replay)?;
    Ok(difference.map_or(End::Replayed, End::Differs))
}

fn client(scenario: &Scenario, preset: Preset) -> Result<End, String> {
    let input: Input = serde_json::from_value(scenario.input.clone())
        .map_err(|error| functions::unknown(&error.to_string()))?;
    let trace = scenario.expect["events"].as_array();
    let trace = trace.ok_or_else(|| functions::unknown("a client without events"))?;
    if let Some(name) = deliberate::difference(&input, &scenario.expect, preset) {
        return Err(name.to_owned());
    }
    let mut service = input.service_options.iter().flatten();
    if input.service_options.is_some() && !service.any(|choice| matches!(choice, Choice::Client)) {
        return Err(functions::unknown(
            "a service with go-micro's default client",
        ));
    }
    let mut calls = input.calls.iter();
    if input.transport == Transport::Fake && calls.any(Call::is_stream) {
        return Err(functions::unknown("a stream over a fake transport"));
    }
    let input = Arc::new(input);
    let choices = Choices::new(Arc::clone(&input), Recorder::default(), preset);
    let recorded = expected(trace, &choices)?;
    let ours = run(&choices)?;
    let comparison = Comparison {
        codes_only: scenario.note.is_some(),
        any_answer: has_an_answer_of_its_own(&input),
    };
    let Some(difference) = comparison.first_difference(&recorded, &ours) else {
        return Ok(End::Replayed);
    };
    Ok(End::Differs(difference.to_string()))
}

fn run(choices: &Choices) -> Result<Vec<Value>, String> {
    let input = choices.input();
    let runtime = match input.transport {
        Transport::Fake => standing(),
        Transport::Real => running(),
    };
    let events = runtime.block_on(call::replay(input, choices));
    let mut events =
        events.map_err(|refused| format!("refused when the client is built: {refused}"))?;
    events.retain(|event| !is_of_stream_wrapper(event));
    Ok(events)
}

/// Call wrappers run on our streams (`stream-wrappers`).
fn is_of_stream_wrapper(event: &Value) -> bool {
    event["layer"] == "call" && event["method"] == "Stream"
}

/// Time moves when everybody waits for it.
fn standing() -> Runtime {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("a runtime without I/O needs nothing")
}

fn running() -> Runtime {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("the system can poll sockets")
}

/// The schema does not say what exactly these methods of the recording's server answer.
fn has_an_answer_of_its_own(input: &Input) -> bool {
    let method = input.endpoint.rsplit(['.', '/']).next();
    input.transport == Transport::Real && matches!(method, Some("Sleep" | "Meta" | "Count"))
}
