//! What the causes are for: a request that may not be repeated is acted on once at most, and none that could go on is given up.

use tokio::task::JoinSet;
use tonic::Code;
use tower_micro::{Channel, Static};
use tower_micro_testkit::{
    h2_peer::{
        Peer,
        Step::{
            self, AwaitHeaders, AwaitRequest, Break, Close, Goaway, MaxStreams, Serve, Settings,
        },
        reason::NO_ERROR,
    },
    proto::greeter::greeter_client::GreeterClient,
};

use crate::support::{builder, hello, soon};

const CALLS: usize = 6;

/// A peer whose first connection answers one call, takes `streams` more at a time, and does `end` when `taken` of them have come. Its
/// second connection answers them all.
fn peer(streams: usize, taken: usize, end: &Step) -> Peer {
    let streams = u32::try_from(streams).unwrap();
    let mut steps = vec![MaxStreams(streams), AwaitRequest, Step::answer()];
    steps.extend([Step::greeting(), Step::status("0")]);
    steps.extend(vec![AwaitHeaders; taken]);
    steps.extend([end.clone(), Close]);
    Peer::script(steps).then([Settings, Serve])
}

/// How many of `CALLS` calls at once are lost with their connection. None may be repeated.
async fn lost(peer: &Peer) -> usize {
    let registry = Static::addresses("greeter", ["10.0.0.1:1"]).unwrap();
    let client = builder().registry(registry).connect(peer.clone());
    let channel = client.build().unwrap().channel("greeter");
    soon(call(channel.clone())).await.unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..CALLS {
        calls.spawn(call(channel.clone()));
    }
    let ends = soon(calls.join_all()).await;
    let lost: Vec<_> = ends.into_iter().filter_map(Result::err).collect();
    assert!(lost.iter().all(|code| *code == Code::Unavailable));
    lost.len()
}

async fn call(channel: Channel) -> Result<(), Code> {
    let reply = GreeterClient::new(channel).say_hello(hello()).await;
    reply.map(drop).map_err(|status| status.code())
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_seen_is_not_sent_again_when_its_connection_ends() {
    for end in [Close, Break] {
        for streams in 1..=CALLS {
            for taken in 1..=streams {
                let peer = peer(streams, taken, &end);
                let lost = lost(&peer).await;
                assert!(peer.seen().requests <= 1 + CALLS, "{peer:?}");
                // It may be more: of those that wait in h2 for a stream nobody can tell.
                assert!(lost >= taken, "{lost} of {peer:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_requests_that_a_goaway_includes_are_lost_with_their_connection() {
    for taken in 1..=CALLS {
        for included in 0..=taken {
            let last = 1 + 2 * u32::try_from(included).unwrap();
            let reason = NO_ERROR;
            let peer = peer(100, taken, &Goaway { last, reason });
            assert_eq!(lost(&peer).await, included, "{peer:?}");
        }
    }
}
