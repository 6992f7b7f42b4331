//! What a scenario says: the part of the traces' schema that concerns a client's calls.
//!
//! Strict on purpose: a member or a kind that is not known here makes a scenario not applicable, and the report names it.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tower_micro::Proxy;

use super::choice::{Behaviour, Choice, Delays, Failure, Policy};

/// A file of scenarios.
#[derive(Debug, Deserialize)]
pub(super) struct Traces {
    #[serde(default)]
    pub(super) go_micro: String,
    pub(super) scenarios: Vec<Scenario>,
}

/// One scenario; what it holds is read when it is known whose it is.
#[derive(Debug, Deserialize)]
pub(super) struct Scenario {
    pub(super) id: String,
    pub(super) category: String,
    /// `<version>/grpc`, `<version>/function` and others.
    #[serde(rename = "impl")]
    pub(super) of: String,
    /// Marks texts that Go's libraries made.
    #[serde(default)]
    pub(super) note: Option<String>,
    #[serde(default)]
    pub(super) input: Value,
    #[serde(default)]
    pub(super) expect: Value,
}

/// How a client is made, and what is done with it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    #[serde(rename = "client")]
    _client: String,
    pub(super) transport: Transport,
    pub(super) service: String,
    pub(super) endpoint: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) client_options: Vec<Choice>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) client_init: Vec<Choice>,
    pub(super) service_options: Option<Vec<Choice>>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) wrappers: BTreeMap<String, Behaviour>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) backoffs: BTreeMap<String, Delays>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) retry_policies: BTreeMap<String, Policy>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) selector: Selecting,
    pub(super) calls: Vec<Call>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) env: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) record: Vec<Record>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) settle_ms: u64,
}

impl Input {
    /// What the environment says while the scenario runs.
    pub(super) fn proxy(&self) -> Proxy {
        proxy_of(|name| self.env.get(name).cloned())
    }

    /// Whether the caller or a wrapper says `key`, in any case.
    pub(super) fn sets(&self, call: &Call, key: &str) -> bool {
        let of_wrappers = self
            .wrappers
            .values()
            .filter_map(|behaviour| match behaviour {
                Behaviour::SetMd { key, .. } => Some(key),
                _ => None,
            });
        let mut keys = call.ctx.metadata.keys().chain(of_wrappers);
        keys.any(|own| own.eq_ignore_ascii_case(key))
    }
}

/// The proxy that variables of this environment set.
pub(super) fn proxy_of(variable: impl Fn(&str) -> Option<String>) -> Proxy {
    Proxy {
        proxy: variable("MICRO_PROXY"),
        network: variable("MICRO_NETWORK"),
        network_address: variable("MICRO_NETWORK_ADDRESS"),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Transport {
    Fake,
    Real,
}

/// What a call event tells besides the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Record {
    Timeouts,
    Md,
    Opts,
    NodeMd,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Selecting {
    pub(super) kind: SelectorKind,
    pub(super) select_err: Option<Failure>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) nodes: Vec<NodeInput>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) next_errs: Vec<Option<Failure>>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) services: Vec<ServiceInput>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SelectorKind {
    #[default]
    Fake,
    Registry,
    Static,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NodeInput {
    pub(super) id: String,
    pub(super) addr: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) metadata: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceInput {
    pub(super) name: String,
    #[serde(default)]
    pub(super) version: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) endpoints: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) nodes: Vec<NodeInput>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    pub(super) op: Operation,
    /// In the place of the scenario's.
    pub(super) endpoint: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) options: Vec<Choice>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) ctx: CallContext,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) outcomes: Vec<Outcome>,
    #[serde(default)]
    pub(super) nil_req: bool,
    #[serde(default)]
    pub(super) nil_rsp: bool,
    #[serde(default)]
    pub(super) body: Value,
    pub(super) content_type: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) stream_steps: Vec<Step>,
}

impl Call {
    pub(super) fn is_stream(&self) -> bool {
        self.op == Operation::Stream
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Operation {
    Call,
    Stream,
}

/// What is done with a stream that is open.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum Step {
    Send(String),
    Recv,
    /// A tenth of a second.
    Sleep,
    Close,
}

impl TryFrom<String> for Step {
    type Error = String;

    fn try_from(step: String) -> Result<Self, String> {
        match (step.as_str(), step.strip_prefix("send:")) {
            (_, Some(text)) => Ok(Self::Send(text.to_owned())),
            ("recv", None) => Ok(Self::Recv),
            ("sleep", None) => Ok(Self::Sleep),
            ("close", None) => Ok(Self::Close),
            _ => Err(format!("a step `{step}` of a stream")),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(text) => write!(f, "send:{text}"),
            Self::Recv => f.write_str("recv"),
            Self::Sleep => f.write_str("sleep"),
            Self::Close => f.write_str("close"),
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallContext {
    #[serde(default, deserialize_with = "nullable")]
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) deadline_ms: Option<i64>,
    #[serde(default)]
    pub(super) cancelled: bool,
    pub(super) cancel_after_ms: Option<u64>,
}

/// What the fake transport does with an attempt.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Outcome {
    pub(super) kind: OutcomeKind,
    pub(super) err: Option<Failure>,
    #[serde(default)]
    pub(super) sleep_ms: u64,
    #[serde(default)]
    pub(super) linger_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OutcomeKind {
    Ok,
    Error,
    WaitCtx,
}

/// Go writes an empty list as null as often as not.
pub(super) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
