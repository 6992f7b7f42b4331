//! What a call does, or its caller leaves undone, that the others on its connection are not to feel.

use futures_util::stream;
use tower_micro_testkit::{
    h2_peer::{
        Peer,
        Step::{self, AwaitHeaders, Serve, Settings},
    },
    proto::chat::{Line, chat_client::ChatClient},
};

use super::dials::{client, once};
use crate::support::{call, soon};

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
