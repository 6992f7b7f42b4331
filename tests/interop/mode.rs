//! The ways in which every case is run.

use std::{fmt, sync::Arc, time::Duration};

use tower_micro::{
    CallOptions, Candidate, Client, Context, Next, Node, Service, Static, Strategy,
    crates::selector::{Candidates, Turn},
    from_fn,
};
use tower_micro_testkit::{INTEROP_DESCRIPTORS, Interop, closed_port};

use super::tally::Tally;
use crate::support::wired;

/// The node that nobody listens at.
const NOBODY: &str = "nobody";

/// What becomes of the first attempt of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    /// It is the only one there may be.
    Only,
    /// It is answered, though others might follow.
    Answered,
    /// It goes to a node at which nobody listens.
    NobodyThere,
    /// The node answers UNAVAILABLE, without reading what it is sent.
    TurnedAway,
}

/// Whether the client knows which methods are streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kinds {
    Known,
    Unknown,
}

/// A way to run a case.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mode {
    first: First,
    kinds: Kinds,
}

impl Mode {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let firsts = [
            First::Only,
            First::Answered,
            First::NobodyThere,
            First::TurnedAway,
        ];
        firsts
            .into_iter()
            .flat_map(|first| [Kinds::Known, Kinds::Unknown].map(|kinds| Self { first, kinds }))
    }

    /// How many attempts it takes to be answered.
    pub(super) const fn attempts(self) -> usize {
        match self.first {
            First::Only | First::Answered => 1,
            First::NobodyThere | First::TurnedAway => 2,
        }
    }

    pub(super) fn server(self) -> Interop {
        match self.first {
            First::TurnedAway => Interop::new().refusing_first(),
            _ => Interop::new(),
        }
    }

    /// A client that finds `node` as `interop`, and counts in `tally` what it does.
    pub(super) async fn client(self, node: Node, tally: &Arc<Tally>) -> Client {
        let (calls, attempts) = (Arc::clone(tally), Arc::clone(tally));
        let per_call = from_fn(move |_: Context, request, next: Next| {
            let tally = Arc::clone(&calls);
            tally.call();
            async move {
                let answer = next.run(request).await;
                answer.inspect_err(|error| tally.failed(error))
            }
        });
        let per_attempt = from_fn(move |cx: Context, request, next: Next| {
            attempts.attempt(cx.node().is_some_and(|node| node.id == NOBODY));
            next.run(request)
        });
        let client = wired()
            .registry(self.nodes(node).await)
            .options(self.options())
            .wrap_client(per_call)
            .wrap_call(per_attempt);
        let client = match self.kinds {
            Kinds::Known => client.descriptors(INTEROP_DESCRIPTORS),
            Kinds::Unknown => client,
        };
        client.build().unwrap()
    }

    async fn nodes(self, node: Node) -> Static {
        let service = Service::new("interop", "latest").with_node(node);
        let service = match self.first {
            First::NobodyThere => {
                service.with_node(Node::new(NOBODY, closed_port().await.unwrap()))
            }
            _ => service,
        };
        Static::new([service])
    }

    fn options(self) -> CallOptions {
        let options = CallOptions::new().timeout(Duration::from_secs(60));
        match self.first {
            First::Only => options.retries(0),
            _ => options.idempotent(true).strategy(NobodyFirst),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.first {
            First::Only => "retries off",
            First::Answered => "retries on",
            First::NobodyThere => "nobody at the first node",
            First::TurnedAway => "turned away at first",
        })?;
        f.write_str(match self.kinds {
            Kinds::Known => ", kinds known",
            Kinds::Unknown => ", kinds unknown",
        })
    }
}

/// Where the first attempt of every call is sure to fail, if nobody is among the nodes.
#[derive(Debug)]
struct NobodyFirst;

impl Strategy for NobodyFirst {
    fn pick(&self, nodes: &Candidates, _: &Turn) -> Option<usize> {
        let is_nobody = |node: &Arc<Candidate>| node.id == NOBODY;
        nodes.iter().position(is_nobody).or(Some(0))
    }

    fn name(&self) -> &'static str {
        "nobody first"
    }
}
