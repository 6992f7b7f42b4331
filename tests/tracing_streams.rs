//! Spans of streams last to their end, and have the status of their trailers.

use futures_util::future;
use tonic::{Code, Status, transport::Server};
use tower_micro::{
    AttemptTraceLayer, Attempts, CallOptions, CallTraceLayer, Client, HandlerTraceLayer, Static,
};
use tower_micro_testkit::{
    Chat, Manner, TestServer,
    proto::chat::{CountRequest, Number, chat_client::ChatClient},
};

use crate::{support::soon, tracing_support::Telescope, tracing_table::tree};

/// A chat whose handlers are traced, and a client of it with both layers.
async fn chat() -> (Telescope, Chat, TestServer, Client) {
    let (telescope, chat) = (Telescope::new(), Chat::new("n0"));
    let router = Server::builder()
        .layer(HandlerTraceLayer::new())
        .add_service(chat.service());
    let server = TestServer::serve("n0", router).await.unwrap();
    let registry = Static::addresses("chat", [server.address().to_string()]).unwrap();
    let client = Client::builder()
        .registry(registry)
        .options(CallOptions::new().retries(0))
        .wrap_client(CallTraceLayer::new())
        .wrap_call(AttemptTraceLayer::new().attempts(Attempts::Always))
        .build()
        .unwrap();
    (telescope, chat, server, client)
}

/// Reads a stream of numbers until it ends, or until so many have come. Says how it ended.
async fn count(client: &Client, to: u64, enough: u64) -> Result<u64, Status> {
    let mut stub = ChatClient::new(client.channel("chat"));
    let mut numbers = soon(stub.count(CountRequest { to })).await?.into_inner();
    let mut read = 0;
    while read < enough {
        match soon(numbers.message()).await? {
            Some(_) => read += 1,
            None => break,
        }
    }
    Ok(read)
}

fn three(client: &str, attempt: &str, server: &str) -> String {
    format!(
        "chat.Chat/Count CLIENT {client}\n  chat.Chat/Count attempt INTERNAL {attempt}\n    chat.Chat/Count SERVER {server}\n"
    )
}

#[tokio::test]
async fn a_stream_lasts_until_its_trailers() {
    let (telescope, _chat, _server, client) = chat().await;
    assert_eq!(count(&client, 3, 9).await.unwrap(), 3);
    assert_eq!(tree(&telescope.until(3).await), three("OK", "OK", "OK"));
}

// The headers said that all is well.
#[tokio::test]
async fn a_stream_that_fails_says_so_by_its_trailers() {
    let (telescope, chat, _server, client) = chat().await;
    chat.behave(Manner::FailAfter(2, Status::data_loss("a page is missing")));
    assert_eq!(
        count(&client, 9, 9).await.unwrap_err().code(),
        Code::DataLoss
    );
    let seen = telescope.until(3).await;
    assert_eq!(
        tree(&seen),
        three("DATA_LOSS !", "DATA_LOSS !", "DATA_LOSS !")
    );
    assert_eq!(seen[0].description, "a page is missing");
}

#[tokio::test]
async fn a_stream_that_is_let_go_of_was_cancelled() {
    let (telescope, chat, _server, client) = chat().await;
    chat.behave(Manner::StallAfter(2));
    assert_eq!(count(&client, 9, 2).await.unwrap(), 2);
    let seen = telescope.until(3).await;
    assert_eq!(
        tree(&seen),
        three("CANCELLED !", "CANCELLED !", "CANCELLED")
    );
}

#[tokio::test]
async fn a_stream_whose_node_dies_ends_with_it() {
    let (telescope, chat, server, client) = chat().await;
    chat.behave(Manner::StallAfter(2));
    let reading = count(&client, 9, 9);
    let killing = async {
        chat.until(|seen| seen.messages == 2).await;
        server.kill();
    };
    let (ended, ()) = future::join(reading, killing).await;
    let code = ended.unwrap_err().code();
    let seen = telescope.until(3).await;
    tree(&seen);
    assert_eq!(seen[0].status(), format!("{code:?}").to_uppercase());
    assert_eq!(seen[0].get("error.type"), "transport");
    assert_eq!(seen[2].status(), "CANCELLED");
}

#[tokio::test]
async fn a_request_stream_is_one_call() {
    let (telescope, _chat, _server, client) = chat().await;
    let mut stub = ChatClient::new(client.channel("chat"));
    let numbers = futures_util::stream::iter([Number { value: 7 }; 5]);
    soon(stub.sum(numbers)).await.unwrap();
    let expected = three("OK", "OK", "OK").replace("Count", "Sum");
    assert_eq!(tree(&telescope.until(3).await), expected);
}
