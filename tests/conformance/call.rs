//! Makes the calls of a scenario, one after the other, on one client.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tower::ServiceExt;
use tower_micro::{
    Ambient, BuildError, CallOptions, Channel, Error, Metadata, RequestExt, ambient, micro,
};

use super::{
    choices::Choices,
    client::Parts,
    deliberate::is_refused,
    events::shown,
    scenario::{Call, CallContext, Input, Transport},
    selector,
    transport::{FilledBy, Script},
};

/// An empty message as gRPC frames it.
pub(super) const EMPTY: &[u8] = &[0; 5];

/// What happened, in order; also what still happens while the scenario waits for late events.
pub(super) async fn replay(input: &Input, choices: &Choices) -> Result<Vec<Value>, BuildError> {
    match input.transport {
        Transport::Fake => fake(input, choices).await?,
        Transport::Real => return super::real::replay(input, choices).await,
    }
    Ok(choices.recorder().events())
}

async fn fake(input: &Input, choices: &Choices) -> Result<(), BuildError> {
    let recorder = choices.recorder();
    let script = Script::new(recorder, &input.record);
    let selector = selector::recorded(&input.selector, recorder).await;
    let parts = Parts {
        input,
        choices,
        selector: Arc::new(selector),
        connect: script.transport(),
    };
    let channel = parts.client()?.channel(&input.service);
    each(input, choices, async |call| {
        script.begin(&call.outcomes);
        let options = choices.all(CallOptions::new(), &call.options);
        let filled = through(channel.clone(), &path_of(input, call), options).await;
        filled.map(|rsp| ("rsp", rsp.into()))
    })
    .await;
    Ok(())
}

/// Every call, with the events around it. What `make` gives is a member of the result.
pub(super) async fn each(
    input: &Input,
    choices: &Choices,
    make: impl AsyncFn(&Call) -> Result<(&'static str, Value), Error>,
) {
    let recorder = choices.recorder();
    for (number, call) in input.calls.iter().enumerate() {
        if input.calls.len() > 1 {
            recorder.add(json!({"ev": "begin", "call": number}));
        }
        if let Some(result) = within(&call.ctx, make(call)).await {
            recorder.add(match result {
                Ok((name, value)) => json!({"ev": "result", "ok": true, name: value}),
                Err(error) => json!({"ev": "result", "ok": false, "err": shown(&error)}),
            });
        }
    }
    sleep(Duration::from_millis(input.settle_ms)).await;
}

/// The path of a call; one that go-micro leaves without a slash gets it, since nothing else can be a path here.
pub(super) fn path_of(input: &Input, call: &Call) -> String {
    let path = micro::grpc_path(&input.service, endpoint_of(input, call));
    let slash = if path.starts_with('/') { "" } else { "/" };
    format!("{slash}{path}")
}

/// What a call asks for: its own endpoint, or the scenario's.
pub(super) fn endpoint_of<'a>(input: &'a Input, call: &'a Call) -> &'a str {
    call.endpoint.as_deref().unwrap_or(&input.endpoint)
}

async fn through(channel: Channel, path: &str, options: CallOptions) -> Result<String, Error> {
    let body = tonic::body::Body::new(Full::new(Bytes::from_static(EMPTY)));
    let request = Request::post(path).body(body);
    let request = request.expect("a path of two names").with_options(options);
    let response = channel.oneshot(request).await?;
    let filled = response.extensions().get::<FilledBy>();
    Ok(filled.map_or_else(String::new, |FilledBy(number)| format!("rsp-{number}")))
}

/// Runs a call in the context of its caller. `None` if it was cancelled: there is no result then.
async fn within<T>(context: &CallContext, call: impl Future<Output = T>) -> Option<T> {
    let call = ambient::scope(ambient_of(context), call);
    match context.cancel_after_ms {
        None => Some(call.await),
        Some(after) => timeout(Duration::from_millis(after), call).await.ok(),
    }
}

fn ambient_of(context: &CallContext) -> Ambient {
    Ambient::new()
        .with_deadline(context.deadline_ms.map(from_now))
        .with_metadata(metadata_of(&context.metadata))
}

fn from_now(milliseconds: i64) -> Instant {
    let (now, distance) = (
        Instant::now(),
        Duration::from_millis(milliseconds.unsigned_abs()),
    );
    let then = match milliseconds {
        0.. => now.checked_add(distance),
        _ => now.checked_sub(distance),
    };
    then.unwrap_or(now)
}

fn metadata_of(pairs: &BTreeMap<String, String>) -> Metadata {
    let mut metadata = Metadata::new();
    for (key, value) in pairs.iter().filter(|(key, value)| !is_refused(key, value)) {
        metadata
            .insert(key, value)
            .expect("found not to be refused");
    }
    metadata
}
