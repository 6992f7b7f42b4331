//! What a call does, or its caller leaves undone, that the others on its connection are not to feel.

use futures_util::stream;
use tokio::task::JoinSet;
use tower_micro_testkit::{
    h2_peer::{
        Peer,
        Step::{self, AwaitHeaders, AwaitRequest, Frame, Serve, Settings, Wait},
    },
    proto::chat::{Line, chat_client::ChatClient},
};

use super::dials::{SECOND, client, limit_connections, once};
use crate::support::{call, greeter, hello, soon};

#[tokio::test(start_paused = true)]
async fn small_messages_that_nobody_reads_leave_the_other_calls_their_connection() {
    let begins = [Settings, AwaitHeaders, Step::answer()].into_iter();
    let unread = vec![Step::message(b""); 12_000];
    let peer = Peer::script(begins.chain(unread).chain([Serve]));
    let client = client(peer.clone(), once());
    let mut chat = ChatClient::new(client.channel("greeter"));
    let unread = soon(chat.talk(stream::pending::<Line>())).await.unwrap();
    call(&client).await.unwrap();
    drop(unread);
    assert_eq!(peer.seen().dials, 1);
}

/// Headers alone, on a stream that need not be there any more.
fn late(stream: u32) -> Step {
    const HEADERS: u8 = 1;
    const END_STREAM_AND_HEADERS: u8 = 5;
    Frame {
        kind: HEADERS,
        flags: END_STREAM_AND_HEADERS,
        stream,
        // `:status: 200`, from HPACK's table.
        payload: vec![0x88],
    }
}

#[tokio::test(start_paused = true)]
async fn answers_that_come_too_late_leave_the_other_calls_their_connection() {
    const LET_GO: u32 = 2500;
    let awaited = vec![AwaitRequest; LET_GO as usize + 1];
    let late = (0..LET_GO).map(|number| late(2 * number + 1));
    let answer = [Step::answer(), Step::greeting(), Step::status("0")];
    let steps = [Settings].into_iter().chain(awaited);
    let steps = steps.chain([Wait(SECOND / 100)]).chain(late).chain(answer);
    let peer = Peer::script(steps);
    let client = client(peer.clone(), once());
    limit_connections(&client, 1);
    let mut let_go = JoinSet::new();
    for _ in 0..LET_GO {
        let mut greeter = greeter(&client);
        let_go.spawn(async move { greeter.say_hello(hello()).await });
    }
    soon(peer.has_seen(|seen| seen.requests == LET_GO as usize)).await;
    let mut greeter = greeter(&client);
    let stays = tokio::spawn(async move { greeter.say_hello(hello()).await });
    soon(peer.has_seen(|seen| seen.requests > LET_GO as usize)).await;
    drop(let_go);
    soon(stays).await.unwrap().unwrap();
    assert_eq!(peer.seen().dials, 1);
}
