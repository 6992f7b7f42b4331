//! What a scenario chooses: options, and by name what wrappers, backoffs and predicates do.

use serde::Deserialize;

use super::scenario::nullable;

/// An option of a client, a service or a call.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "opt", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Choice {
    Client,
    Wrap(Names),
    WrapClient(Names),
    #[serde(alias = "with_call_wrapper")]
    WrapCall(Names),
    #[serde(alias = "with_retries")]
    Retries {
        n: i64,
    },
    #[serde(alias = "with_request_timeout")]
    RequestTimeout {
        ms: i64,
    },
    #[serde(alias = "with_stream_timeout")]
    StreamTimeout {
        ms: i64,
    },
    #[serde(alias = "with_dial_timeout")]
    DialTimeout {
        ms: i64,
    },
    #[serde(alias = "with_backoff")]
    Backoff {
        name: String,
    },
    #[serde(alias = "with_retry")]
    Retry {
        name: String,
    },
    ContentType {
        val: String,
    },
    WithAddress {
        #[serde(default, deserialize_with = "nullable")]
        addrs: Vec<String>,
    },
    WithCache {
        #[serde(rename = "ms")]
        _ms: i64,
    },
    WithSelectOption {
        key: String,
        #[serde(default)]
        val: String,
    },
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Names {
    #[serde(default, deserialize_with = "nullable")]
    pub(super) names: Vec<String>,
}

/// What a wrapper does besides passing the call on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Behaviour {
    #[default]
    Pass,
    Short {
        #[serde(default)]
        err: Option<Failure>,
    },
    Twice,
    Swallow,
    ReplaceErr {
        err: Failure,
    },
    SetMd {
        key: String,
        val: String,
    },
    SetNode {
        key: String,
        val: String,
    },
    SetRetries,
    AddCallOpt {
        opt: Choice,
    },
}

/// An error as a scenario gives it.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Failure {
    Micro {
        #[serde(default)]
        id: String,
        #[serde(default)]
        code: i32,
        #[serde(default)]
        detail: String,
    },
    Plain {
        message: String,
    },
    Context {
        message: String,
    },
    Sentinel {
        message: String,
    },
}

/// What a backoff answers, by attempt.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Delays {
    pub(super) kind: Option<GoMicros>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) ms: Vec<i64>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) errs: Vec<Option<Failure>>,
}

/// go-micro's own.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum GoMicros {
    #[serde(rename = "default")]
    Default,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Policy {
    Default,
    Always,
    Never,
    Script { script: Vec<Verdict> },
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Verdict {
    #[serde(default)]
    pub(super) retry: bool,
    #[serde(default)]
    pub(super) err: Option<Failure>,
}
