//! Whether what happened is what was recorded.

use serde_json::{Map, Value};

/// Times are rounded to this in the traces; ours are not.
const ROUNDING: i64 = 100;

/// How two values are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comparison {
    /// Texts were made by Go's libraries: only codes count.
    pub(super) codes_only: bool,
    /// The text of an answer is the recording's server's, not the client's.
    pub(super) any_answer: bool,
}

/// The first event that differs, both sides.
#[derive(Debug)]
pub(super) struct Difference {
    place: usize,
    recorded: Option<Value>,
    ours: Option<Value>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown =
            |event: &Option<Value>| event.as_ref().map_or("nothing".into(), Value::to_string);
        let (recorded, ours) = (shown(&self.recorded), shown(&self.ours));
        write!(f, "event {}: recorded {recorded}, ours {ours}", self.place)
    }
}

impl Comparison {
    /// The first event in which `ours` are not as `recorded`.
    pub(super) fn first_difference(self, recorded: &[Value], ours: &[Value]) -> Option<Difference> {
        let places = 0..recorded.len().max(ours.len());
        let same = |place: &usize| match (recorded.get(*place), ours.get(*place)) {
            (Some(recorded), Some(ours)) => self.same("event", recorded, ours),
            _ => false,
        };
        let place = places.into_iter().find(|place| !same(place))?;
        Some(Difference {
            place,
            recorded: recorded.get(place).cloned(),
            ours: ours.get(place).cloned(),
        })
    }

    fn same(self, member: &str, recorded: &Value, ours: &Value) -> bool {
        match member {
            "request_timeout_ms" | "ctx_deadline_in_ms" => near(recorded, ours),
            "detail" | "message" if self.codes_only => true,
            "rsp" | "msg" if self.any_answer => true,
            _ => match (recorded, ours) {
                (Value::Object(recorded), Value::Object(ours)) => self.same_members(recorded, ours),
                (Value::Array(recorded), Value::Array(ours)) => {
                    let mut pairs = recorded.iter().zip(ours);
                    recorded.len() == ours.len()
                        && pairs.all(|(recorded, ours)| self.same(member, recorded, ours))
                }
                // Go has a nil list and an empty one, a zero and an absent one; for us they are one.
                _ => recorded == ours || is_nothing(recorded) && is_nothing(ours),
            },
        }
    }

    fn same_members(self, recorded: &Map<String, Value>, ours: &Map<String, Value>) -> bool {
        let of = |members: &Map<String, Value>, name: &str| {
            members.get(name).cloned().unwrap_or_default()
        };
        let mut names = recorded.keys().chain(ours.keys());
        names.all(|name| self.same(name, &of(recorded, name), &of(ours, name)))
    }
}

fn near(recorded: &Value, ours: &Value) -> bool {
    match (recorded.as_i64(), ours.as_i64()) {
        (Some(recorded), Some(ours)) => (recorded - ours).abs() < ROUNDING,
        _ => recorded == ours,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}
