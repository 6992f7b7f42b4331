//! The differences from go-micro that are meant, each by its name in `docs/from-go-micro.md`, and how a scenario shows that it is
//! about one of them. What is found here is not replayed.

use serde_json::Value;
use tower_micro::{Metadata, Preset, ServiceName};

use super::{
    choice::{Behaviour, Choice, Names},
    scenario::{Call, Input, Record, Transport},
};

/// Content types under which go-micro sends what a generated client sends.
const PROTOBUF: [&str; 6] = [
    "",
    "application/protobuf",
    "application/proto",
    "application/octet-stream",
    "application/grpc",
    "application/grpc+proto",
];

/// What v2's `NewService` sends in the place of what the caller says.
const OF_THE_TRACE: [&str; 2] = ["Micro-Trace-Id", "Micro-Span-Id"];

/// Why a scenario cannot be ours, or `None` if it can.
pub(super) fn difference(input: &Input, expect: &Value, preset: Preset) -> Option<&'static str> {
    let is_v2 = preset == Preset::GoMicroV2;
    let rules: [(&'static str, bool); 10] = [
        ("retries-unsigned", choices(input).any(is_negative)),
        (
            "nil-request",
            input.calls.iter().any(|call| call.nil_req || call.nil_rsp),
        ),
        (
            "cancel-is-drop",
            input.calls.iter().any(|call| call.ctx.cancelled),
        ),
        (
            "metadata-names",
            input.transport == Transport::Real
                && metadata(input).any(|(key, value)| is_refused(key, value)),
        ),
        (
            "service-names",
            input.calls.iter().any(|call| !has_name(input, call)),
        ),
        ("zero-timeout", at_build(input).any(is_zero_time)),
        (
            "content-type",
            input.transport == Transport::Real && !is_protobuf(input),
        ),
        (
            "service-wrappers",
            is_v2 && shows_service_wrappers(input, expect),
        ),
        ("stream-wrappers", has_stream_wrapper_that_acts(input)),
        ("percent", mentions(expect, "%!")),
    ];
    let found = rules.into_iter().find(|(_, applies)| *applies);
    found.map(|(name, _)| name)
}

/// What the client is built with, and what it is changed to later.
fn at_build(input: &Input) -> impl Iterator<Item = &Choice> {
    input.client_options.iter().chain(&input.client_init)
}

/// Every option anywhere.
fn choices(input: &Input) -> impl Iterator<Item = &Choice> {
    let added = input
        .wrappers
        .values()
        .filter_map(|behaviour| match behaviour {
            Behaviour::AddCallOpt { opt } => Some(opt),
            _ => None,
        });
    let of_calls = input.calls.iter().flat_map(|call| &call.options);
    at_build(input).chain(of_calls).chain(added)
}

const fn is_negative(choice: &Choice) -> bool {
    matches!(choice, Choice::Retries { n } if *n < 0)
}

const fn is_zero_time(choice: &Choice) -> bool {
    matches!(choice, Choice::RequestTimeout { ms } | Choice::DialTimeout { ms } if *ms <= 0)
}

/// Keys and values that callers and wrappers set.
fn metadata(input: &Input) -> impl Iterator<Item = (&str, &str)> {
    let callers = input.calls.iter().flat_map(|call| &call.ctx.metadata);
    let wrappers = input
        .wrappers
        .values()
        .filter_map(|behaviour| match behaviour {
            Behaviour::SetMd { key, val } => Some((key.as_str(), val.as_str())),
            _ => None,
        });
    let callers = callers.map(|(key, value)| (key.as_str(), value.as_str()));
    callers.chain(wrappers)
}

/// Whether ours cannot be given this. Where no header is sent, the scenario is replayed without it.
pub(super) fn is_refused(key: &str, value: &str) -> bool {
    Metadata::new().insert(key, value).is_err()
}

/// Whether what the call would look up can be the name of a service.
fn has_name(input: &Input, call: &Call) -> bool {
    let proxy = input.proxy();
    let addresses = call.options.iter().rev().find_map(|choice| match choice {
        Choice::WithAddress { addrs } => Some(addrs.as_slice()),
        _ => None,
    });
    let way = proxy.resolve(&input.service, addresses.unwrap_or_default());
    !way.addresses.is_empty() || ServiceName::new(way.service).is_ok()
}

fn is_protobuf(input: &Input) -> bool {
    let of_client = at_build(input).filter_map(|choice| match choice {
        Choice::ContentType { val } => Some(val.as_str()),
        _ => None,
    });
    let of_calls = input
        .calls
        .iter()
        .filter_map(|call| call.content_type.as_deref());
    of_client
        .chain(of_calls)
        .all(|content| PROTOBUF.contains(&content))
}

/// go-micro v2's `NewService` adds a cache that answers in the place of the client, and ids of its own for those of the caller.
fn shows_service_wrappers(input: &Input, expect: &Value) -> bool {
    let events = expect["events"].as_array().map_or(&[][..], Vec::as_slice);
    let is_cached = |pair: &[Value]| pair[0]["ev"] == "begin" && pair[1]["ok"] == true;
    let mut calls = input.calls.iter();
    let is_traced = calls.any(|call| OF_THE_TRACE.iter().any(|key| input.sets(call, key)));
    let is_shown = input.record.contains(&Record::Md) && is_traced;
    input.service_options.is_some() && (is_shown || events.windows(2).any(is_cached))
}

/// Whether a call wrapper does something to a stream. One that passes it on changes nothing.
fn has_stream_wrapper_that_acts(input: &Input) -> bool {
    let service = input.service_options.iter().flatten();
    let all = choices(input).chain(service);
    let mut names = all.flat_map(|choice| match choice {
        Choice::WrapCall(Names { names }) => names.as_slice(),
        _ => &[],
    });
    let acts = |name| {
        let behaviour = input.wrappers.get(name);
        behaviour.is_some_and(|behaviour| !matches!(behaviour, Behaviour::Pass))
    };
    input.calls.iter().any(Call::is_stream) && names.any(acts)
}

/// Whether any text says `part`.
fn mentions(value: &Value, part: &str) -> bool {
    match value {
        Value::String(text) => text.contains(part),
        Value::Array(list) => list.iter().any(|value| mentions(value, part)),
        Value::Object(members) => members.values().any(|value| mentions(value, part)),
        _ => false,
    }
}
