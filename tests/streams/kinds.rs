//! Streams of all three kinds over real servers, and the wrappers around them.

use futures_util::stream;
use tower_micro::{CallOptions, Client, Context, Next, Preset, from_fn};
use tower_micro_testkit::proto::chat::Number;

use super::fleet::{Chats, Talk, count, heard, numbers, sum};
use crate::support::Diary;

#[tokio::test]
async fn a_talk_goes_both_ways_in_turn() {
    let chats = Chats::of(1).await;
    let client = chats.client(CallOptions::new());
    let mut talk = Talk::open(&client).await.unwrap();
    for text in ["good morning", "it looks like rain", ""] {
        let answer = talk.ask(text).await.unwrap().unwrap();
        assert_eq!(answer.text, format!("{text}, you say"));
        assert_eq!(answer.node, "n0");
    }
    assert!(talk.finish().await.unwrap().is_empty());
    assert_eq!(chats.diary(), "select:chat next:n0 mark:n0:ok");
}

#[tokio::test]
async fn a_node_sends_many_messages_for_one() {
    let chats = Chats::of(1).await;
    let client = chats.client(CallOptions::new());
    let counted = heard(count(&client, 1000).await.unwrap()).await.unwrap();
    let values: Vec<_> = counted.iter().map(|number| number.value).collect();
    assert_eq!(values, (1..=1000).collect::<Vec<_>>());
    assert_eq!(chats.diary(), "select:chat next:n0 mark:n0:ok");
}

#[tokio::test]
async fn a_node_gets_many_messages_and_sends_one() {
    let chats = Chats::of(1).await;
    let client = chats.client(CallOptions::new());
    let total = sum(&client, numbers(1000)).await.unwrap();
    assert_eq!((total.sum, total.numbers), (500_500, 1000));
    let none = sum(&client, stream::empty::<Number>()).await.unwrap();
    assert_eq!((none.sum, none.numbers), (0, 0));
    let at_once = sum(&client, stream::iter([Number { value: 7 }; 7])).await;
    assert_eq!(at_once.unwrap().sum, 49);
}

#[tokio::test]
async fn streams_of_one_connection_do_not_wait_for_each_other() {
    let chats = Chats::of(1).await;
    let client = chats.client(CallOptions::new());
    let mut talks = Vec::new();
    for _ in 0..20 {
        talks.push(Talk::open(&client).await.unwrap());
    }
    for (number, talk) in talks.iter_mut().enumerate().rev() {
        let answer = talk.ask(&number.to_string()).await.unwrap().unwrap();
        assert_eq!(answer.text, format!("{number}, you say"));
    }
    for talk in talks {
        talk.finish().await.unwrap();
    }
}

/// A client whose wrappers of every kind write down what they see.
fn watched(chats: &Chats, preset: Preset, seen: &Diary) -> Client {
    let watch = |name: &'static str, seen: &Diary| {
        let seen = seen.clone();
        move |cx: Context, request, next: Next| {
            let node = cx.node().map_or("-", |node| &node.id);
            seen.write(format!("{name}:{node}"));
            let seen = seen.clone();
            async move {
                let answer = next.run(request).await;
                seen.write(format!("{name}:{}", answer.is_ok()));
                answer
            }
        }
    };
    chats
        .builder()
        .preset(preset)
        .wrap_client(from_fn(watch("client", seen)))
        .wrap_call(from_fn(watch("call", seen)))
        .options(CallOptions::new().call_wrapper(watch("option", seen)))
        .build()
        .unwrap()
}

// go-micro builds the chain and then calls what is inside of it (`client/grpc/grpc.go`, `Stream`).
#[tokio::test]
async fn wrappers_run_on_streams_in_every_preset() {
    let expected = "client:- call:n0 option:n0 option:true call:true client:true";
    for preset in [Preset::Standard, Preset::GoMicroV2, Preset::GoMicroV4] {
        let chats = Chats::of(1).await;
        let seen = Diary::default();
        let client = watched(&chats, preset, &seen);
        let mut talk = Talk::open(&client).await.unwrap();
        assert_eq!(seen.text(), expected, "a stream is answered by its headers");
        talk.ask("hello").await.unwrap().unwrap();
        talk.finish().await.unwrap();
        heard(count(&client, 3).await.unwrap()).await.unwrap();
        sum(&client, numbers(3)).await.unwrap();
        assert_eq!(seen.text(), [expected; 3].join(" "));
    }
}
