//! A client, the node it calls, and what is counted between them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use tokio::task::JoinSet;
use tonic::Status;
use tower_micro::{
    CallOptions, Channel, Client, Connect, Context, Next, RequestExt, Static,
    crates::client::{ClientBuilder, wrap::erase::ErasedLayer},
    from_fn,
};
use tower_micro_testkit::{
    h2_peer::Peer,
    proto::{
        go_micro::{Request, greeter_client::GreeterClient as Streams},
        greeter::greeter_client::GreeterClient,
    },
};

use super::measure::Counts;
use crate::support::{Traceable, builder, hello, soon};

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// A method with one answer, of which the client does not know that it has one.
    Unary,
    /// A method that is known to have one answer.
    Known,
    /// A method that answers with a stream.
    Stream,
}

pub(super) struct Scene {
    pub(super) client: Client,
    pub(super) attempts: Arc<AtomicUsize>,
    /// None if nobody is there, or if nothing gets that far.
    pub(super) peer: Option<Peer>,
    pub(super) method: Method,
    /// Calls that are under way before the one that is looked at.
    pub(super) busy: usize,
}

/// A builder that counts attempts.
pub(super) type Counting<K> = ClientBuilder<ErasedLayer, ErasedLayer, K>;

/// A client of `address` whose attempts are counted.
pub(super) fn counting<K: Connect>(
    client: Traceable<K>,
    address: &str,
    options: CallOptions,
) -> (Counting<K>, Arc<AtomicUsize>) {
    let attempts = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&attempts);
    let counts = from_fn(move |_: Context, request, next: Next| {
        count.fetch_add(1, SeqCst);
        next.run(request)
    });
    let registry = Static::addresses("greeter", [address]).unwrap();
    let client = client.registry(registry).options(options);
    (client.wrap_call(counts).erased(), attempts)
}

impl Scene {
    /// A call of `method` to `peer`.
    pub(super) fn with_peer(peer: Peer, method: Method, options: CallOptions) -> Self {
        let options = match method {
            Method::Known => options.streaming(false),
            Method::Unary | Method::Stream => options,
        };
        let client = builder().connect(peer.clone());
        let (client, attempts) = counting(client, "10.0.0.1:1", options);
        Self {
            client: client.build().unwrap(),
            attempts,
            peer: Some(peer),
            method,
            busy: 0,
        }
    }

    /// A call that reaches no peer.
    pub(super) const fn without_peer(client: Client, attempts: Arc<AtomicUsize>) -> Self {
        Self {
            client,
            attempts,
            peer: None,
            method: Method::Unary,
            busy: 0,
        }
    }

    /// The same, while `busy` other calls are under way.
    pub(super) fn behind(self, busy: usize) -> Self {
        Self { busy, ..self }
    }

    /// The call, and what it took.
    pub(super) async fn play(&self) -> (Result<(), Status>, Counts) {
        let busy = self.begin_others().await;
        let before = self.counts();
        let end = soon(call(self.client.channel("greeter"), self.method)).await;
        let after = self.counts();
        drop(busy);
        let counts = Counts {
            attempts: after.attempts - before.attempts,
            seen: after.seen - before.seen,
        };
        (end, counts)
    }

    fn counts(&self) -> Counts {
        let peer = self.peer.as_ref();
        Counts {
            attempts: self.attempts.load(SeqCst),
            seen: peer.map_or(0, |peer| peer.seen().requests),
        }
    }

    /// Has the others begin, and waits until the first of them has reached the peer.
    async fn begin_others(&self) -> JoinSet<()> {
        let mut others = JoinSet::new();
        for _ in 0..self.busy {
            let channel = self.client.channel("greeter");
            let request = hello().with_options(CallOptions::new().retries(0).idempotent(false));
            others.spawn(async {
                // What becomes of it is not looked at.
                let _ = GreeterClient::new(channel).say_hello(request).await;
            });
        }
        if let Some(peer) = self.peer.as_ref().filter(|_| self.busy > 0) {
            soon(peer.has_seen(|seen| seen.requests > 0)).await;
        }
        others
    }
}

/// One call, to the end of its answer.
async fn call(channel: Channel, method: Method) -> Result<(), Status> {
    if method != Method::Stream {
        let mut greeter = GreeterClient::new(channel);
        return greeter.say_hello(hello()).await.map(drop);
    }
    let request = Request { name: "2".into() };
    let mut answers = Streams::new(channel).count(request).await?.into_inner();
    while answers.message().await?.is_some() {}
    Ok(())
}
