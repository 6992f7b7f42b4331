//! Three servers, one client, 600 calls. One server is killed on the way, another one refuses for a while.
//!
//! Servers, registry and client live in this process, so there is nothing to set up: `cargo quickstart`.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example speaks to whoever runs it")]

mod attempts;
mod cluster;
mod screen;
mod telemetry;

use std::process::ExitCode;

use futures_util::{StreamExt, stream};
use tonic::Status;
use tower_micro::{
    AttemptTraceLayer, Attempts as Traced, BoxError, CallOptions, CallTraceLayer, Channel, Client,
    Memory, from_fn,
};
use tower_micro_testkit::proto::greeter::{HelloRequest, greeter_client::GreeterClient};

use crate::{attempts::Attempts, cluster::Cluster};

const CALLS: usize = 600;
const AT_ONCE: usize = 16;

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    // Nodes a, b and c: real tonic servers on loopback, listed in a registry.
    let registry = Memory::new();
    let cluster = Cluster::start(registry.clone()).await?;

    // A client that finds them there, with a function around each call, a layer around each attempt, and spans around both.
    let recorder = telemetry::record()?;
    let attempts = Attempts::default();
    let client = Client::builder()
        .registry(registry)
        .options(CallOptions::new().idempotent(true).report(true))
        .wrap_client((CallTraceLayer::new(), from_fn(screen::show_call)))
        .wrap_call((
            AttemptTraceLayer::new().attempts(Traced::Always),
            attempts.layer(),
        ))
        .build()?;
    screen::begin(client.onion());

    // A generated stub, as over any tonic channel.
    let greeter = GreeterClient::new(client.channel("greeter"));
    let calls = stream::iter(0..CALLS).map(|number| say_hello(greeter.clone(), &cluster, number));
    let answers: Vec<_> = calls.buffer_unordered(AT_ONCE).collect().await;

    screen::counts(&answers, &attempts);
    screen::most_tried(&recorder.traces());
    screen::end(&answers, &attempts);
    let failed = answers.iter().any(Result::is_err);
    Ok(ExitCode::from(u8::from(failed)))
}

/// One call. Resolves to the id of the node that answered.
async fn say_hello(
    mut greeter: GreeterClient<Channel>,
    cluster: &Cluster,
    number: usize,
) -> Result<String, Status> {
    cluster.before_call(number).await;
    let name = format!("caller {number}");
    let reply = greeter.say_hello(HelloRequest { name }).await?;
    Ok(reply.into_inner().node)
}
