//! go-micro's plain functions, and ours in their place.

mod choosing;

mod errors;

mod names;

mod options;

use serde_json::{Map, Value};
use tower_micro::Preset;

/// What our functions give for an input, member by member of what is expected; or why there is nothing to compare.
pub(super) type Given = Result<Map<String, Value>, String>;

/// Members that our functions have no counterpart for, or that show a difference that is meant.
const NOT_COMPARED: [&str; 12] = [
    // The codec is the generated client's, and so is the name of the transport.
    "content_type",
    "string",
    // `%` is text: go-micro takes a detail for a format.
    "percent",
    // Go's comparison of errors that are not go-micro's.
    "plain_same",
    "plain_other",
    "mixed",
    "nil_nil",
    "nil_micro",
    // Our predicates of this kind cannot fail, and always retrying needs no function.
    "err",
    "retry_err",
    "always",
    "always_err",
];

/// Replays one function. `Ok(None)` if all is alike, else the difference; `Err` says why it is not applicable.
pub(super) async fn replay(
    category: &str,
    input: &Value,
    expect: &Value,
    preset: Preset,
) -> Result<Option<String>, String> {
    let ours = match category {
        "func_errors" => errors::given(input, expect, preset)?,
        "func_retry" => options::retried(input, preset)?,
        "func_backoff" => options::backoff(input)?,
        "func_options" => options::defaults(preset),
        "func_metadata" => names::metadata(input)?,
        "func_net" => names::net(input)?,
        "func_grpc" => names::method(input)?,
        "func_strategy" => choosing::strategy(input),
        "func_filter" => choosing::filter(input)?,
        "func_selector" => choosing::selector(expect).await,
        other => return Err(unknown(other)),
    };
    compared(input, expect, &ours)
}

/// The reason for what is not known.
pub(super) fn unknown(what: &str) -> String {
    format!("unknown to this replayer: {what}")
}

fn compared(
    input: &Value,
    expect: &Value,
    ours: &Map<String, Value>,
) -> Result<Option<String>, String> {
    let members = expect.as_object().ok_or_else(|| unknown("expect"))?;
    let compared = members
        .iter()
        .filter(|(name, _)| ours.contains_key(*name) || !NOT_COMPARED.contains(&name.as_str()));
    for (name, recorded) in compared {
        let ours = match name.as_str() {
            "unstable" => ours.get("metadata").map(|given| chosen_of(recorded, given)),
            name => ours.get(name).cloned(),
        };
        let ours = ours.ok_or_else(|| unknown(name))?;
        let recorded = match name.as_str() {
            "left" => &choosing::left_here(input, recorded),
            _ => recorded,
        };
        if !is_same(recorded, &ours) {
            return Ok(Some(format!("{name}: recorded {recorded}, ours {ours}")));
        }
    }
    Ok(None)
}

fn is_same(recorded: &Value, ours: &Value) -> bool {
    let is_nothing = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    recorded == ours || is_nothing(recorded) && is_nothing(ours)
}

/// go-micro leaves to chance which of several it is: ours is one of them.
fn chosen_of(possible: &Value, given: &Value) -> Value {
    let pairs = given.as_object().into_iter().flatten();
    let pairs = pairs.map(|(key, value)| format!("{key}:{}", value.as_str().unwrap_or_default()));
    let shown = format!("map[{}]", pairs.collect::<Vec<_>>().join(" "));
    let one_of = possible
        .as_array()
        .is_some_and(|list| list.contains(&shown.as_str().into()));
    if one_of {
        possible.clone()
    } else {
        shown.into()
    }
}

/// A text member, empty if absent.
fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// The members of an object that [`serde_json::json!`] made.
fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
