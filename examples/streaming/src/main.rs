//! A chat over a stream that goes both ways. The server that holds it is killed on the way; the chat goes on with another.
//!
//! Servers, registry and client live in this process, so there is nothing to set up: `cargo run -p streaming`.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example speaks to whoever runs it")]

mod cluster;
mod talk;

use std::process::ExitCode;

use tower_micro::{BoxError, Client, Memory};
use tower_micro_testkit::proto::chat::chat_client::ChatClient;

use crate::{cluster::Cluster, talk::Talk};

const LINES: [&str; 6] = [
    "good morning",
    "are you well",
    "it looks like rain",
    "you were gone for a moment",
    "somebody else has taken over",
    "good night",
];
/// After so many answers the server that gave them is killed.
const KILLED_AFTER: usize = 3;
/// One breaks, one goes on.
const STREAMS: usize = 2;

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    // Nodes a, b and c: real tonic servers on loopback, listed in a registry.
    let registry = Memory::new();
    let cluster = Cluster::start(&registry).await?;

    // A generated stub over a client that finds them there.
    let client = Client::builder().registry(registry).build()?;
    let chat = ChatClient::new(client.channel("chat"));

    // A stream that has begun to answer is not begun again by the client: what was said is for the caller to know.
    let mut talk = Talk::about(LINES);
    for _ in 0..STREAMS {
        match talk.over_one_stream(chat.clone(), &cluster).await {
            Ok(()) => break,
            Err(status) => talk.broke(&status),
        }
    }
    println!("\n{}", talk.summary());
    Ok(ExitCode::from(u8::from(!talk.is_over())))
}
