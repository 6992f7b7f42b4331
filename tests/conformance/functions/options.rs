//! Defaults: options, `client.RetryOnError`, `client.DefaultBackoff`.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tower_micro::{
    Backoff, CallOptions, Error, Preset, RetryContext, RetryPolicy, micro,
    per_call::retry::GoMicroBackoff,
};

use super::{
    super::{choice::Failure, choices},
    Given, members, unknown,
};

pub(super) fn defaults(preset: Preset) -> Map<String, Value> {
    let (options, pool) = (preset.options(), preset.pool());
    members(json!({
        "retries": options.get_retries(),
        "request_timeout_ms": options.get_timeout().map(milliseconds),
        "dial_timeout_ms": options.get_connect_timeout().map(milliseconds),
        "stream_timeout_ms": options.get_stream_timeout().map_or(0, milliseconds),
        "pool_size": pool.size,
        "pool_ttl_ms": pool.ttl.map(milliseconds),
        "pool_max_streams": pool.max_streams,
        "pool_max_idle": pool.max_idle,
    }))
}

/// `Err` if our predicate fails, which it cannot.
pub(super) fn retried(input: &Value, preset: Preset) -> Given {
    let error = match (input["code"].as_i64(), &input["err"]) {
        (Some(code), _) => {
            let code = i32::try_from(code).map_err(|_| unknown("code"))?;
            Some(micro::Error::new("id", "detail", code).to_json())
        }
        (None, Value::Null) => None,
        (None, given) => {
            let failure: Failure = serde_json::from_value(given.clone())
                .map_err(|error| unknown(&error.to_string()))?;
            Some(failure.made().go_text())
        }
    };
    // An error of go-micro and a text that reads like one are the same to `RetryOnError`.
    let error = error.map(|text| micro::Error::parse(&text));
    Ok(members(
        json!({"retry": is_retried(error.as_ref(), preset)}),
    ))
}

/// What the predicate of `preset` says of an error.
pub(super) fn is_retried(error: Option<&micro::Error>, preset: Preset) -> bool {
    let error = error.map(|error| Error::from(tonic::Status::from(error)));
    let options = CallOptions::new();
    let context = RetryContext::new(0, &options).with_error(error.as_ref());
    let retried = choices::retried(preset).should_retry(context);
    retried.is_ok_and(|retried| retried)
}

pub(super) fn backoff(input: &Value) -> Given {
    let attempts = input["attempts"]
        .as_array()
        .ok_or_else(|| unknown("attempts"))?;
    let attempts = attempts.iter().map(Value::as_u64);
    let attempts: Option<Vec<_>> = attempts.collect();
    let attempts = attempts.ok_or_else(|| unknown("an attempt below zero"))?;
    let delays = attempts.into_iter().map(|attempt| {
        let options = CallOptions::new();
        let context = RetryContext::new(u32::try_from(attempt).unwrap_or(u32::MAX), &options);
        let delay = GoMicroBackoff.delay(context);
        delay.map_or(Value::Null, |delay| milliseconds(delay).into())
    });
    Ok(members(json!({"ms": delays.collect::<Vec<_>>()})))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
