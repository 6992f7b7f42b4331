//! What three clients are told by a node that answers its first request with garbage.

use std::time::Duration;

use tonic::Status;
use tower_micro::{CallOptions, Channel, RequestExt, Static};
use tower_micro_testkit::{
    h2_peer::{
        Peer,
        Step::{self, AwaitRequest, Serve, Settings},
    },
    proto::{
        go_micro::{Request, greeter_client::GreeterClient as Streams},
        greeter::greeter_client::GreeterClient,
    },
};

use crate::support::{builder, hello, soon};

/// The time of the call that gets garbage.
const TIME: Duration = Duration::from_secs(1);

/// What callers were told: `code: message`, or what the node said if all went well.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Of a method with one answer.
    pub(super) unary: String,
    /// The same, if the client knows that it has one.
    pub(super) known: String,
    /// Of a method that answers with a stream, after the messages that came before.
    pub(super) stream: String,
}

impl Told {
    pub(super) fn each(unary: &str, stream: &str) -> Self {
        Self {
            unary: unary.to_owned(),
            known: unary.to_owned(),
            stream: stream.to_owned(),
        }
    }

    pub(super) fn all(text: &str) -> Self {
        Self::each(text, text)
    }

    /// Without the words of tonic and hyper.
    fn bare(&self) -> Self {
        let bare = |text: &str| {
            text.replace("transport error: http2 error: ", "")
                .replace("error reading a body from connection: ", "")
                .replace("protocol error: http2 error: ", "protocol error: ")
        };
        Self {
            unary: bare(&self.unary),
            known: bare(&self.known),
            stream: bare(&self.stream),
        }
    }
}

/// What is told of `garbage`, which a request is answered with: over tonic's channels, and in the same words, less what tonic and hyper
/// put before them, over connections of our own.
pub(super) async fn told(garbage: impl IntoIterator<Item = Step>) -> Told {
    let garbage: Vec<_> = garbage.into_iter().collect();
    let theirs = told_over(&garbage, Peer::over_tonic).await;
    let ours = told_over(&garbage, |peer| peer).await;
    assert_eq!(ours, theirs.bare(), "our own connections, and tonic's");
    theirs
}

type Over = fn(Peer) -> Peer;

async fn told_over(garbage: &[Step], over: Over) -> Told {
    let unary = CallOptions::new().streaming(false);
    Told {
        unary: told_one(garbage, over, CallOptions::new()).await,
        known: told_one(garbage, over, unary).await,
        stream: told_many(garbage, over).await,
    }
}

pub(super) fn peer(garbage: &[Step]) -> Peer {
    let steps = [Settings, AwaitRequest].into_iter();
    Peer::script(steps.chain(garbage.to_vec()).chain([Serve])).then([Settings, Serve])
}

pub(super) fn channel(peer: &Peer) -> Channel {
    let registry = Static::addresses("greeter", ["10.0.0.1:1"]).unwrap();
    let client = builder().registry(registry).connect(peer.clone());
    client.build().unwrap().channel("greeter")
}

async fn told_one(garbage: &[Step], over: Over, options: CallOptions) -> String {
    let channel = channel(&over(peer(garbage)));
    let mut greeter = GreeterClient::new(channel.clone());
    let mut request = hello().with_options(options.retries(0));
    request.set_timeout(TIME);
    let reply = soon(greeter.say_hello(request)).await;
    goes_well(channel).await;
    reply.map_or_else(text, |reply| reply.into_inner().message)
}

async fn told_many(garbage: &[Step], over: Over) -> String {
    let channel = channel(&over(peer(garbage)));
    let request = tonic::Request::new(Request { name: "9".into() });
    let mut request = request.with_options(CallOptions::new().retries(0));
    request.set_timeout(TIME);
    let mut told = Vec::new();
    if let Err(status) = soon(read(channel.clone(), request, &mut told)).await {
        told.push(text(status));
    }
    goes_well(channel).await;
    told.join(" ")
}

async fn read(
    channel: Channel,
    request: tonic::Request<Request>,
    told: &mut Vec<String>,
) -> Result<(), Status> {
    let mut answers = Streams::new(channel).count(request).await?.into_inner();
    while let Some(answer) = answers.message().await? {
        told.push(answer.msg);
    }
    Ok(())
}

/// The next call on the same channel, be it on this connection or the next.
pub(super) async fn goes_well(channel: Channel) {
    let request = hello().with_options(CallOptions::new().idempotent(true));
    let reply = soon(GreeterClient::new(channel).say_hello(request)).await;
    assert_eq!(reply.unwrap().into_inner().message, "Hello");
}

/// Without the places, which are the same each time.
fn text(status: Status) -> String {
    let message = status.message();
    let end = message.find(" (service greeter").unwrap_or(message.len());
    format!("{:?}: {}", status.code(), &message[..end])
}
