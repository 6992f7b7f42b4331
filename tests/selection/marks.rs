//! What the selector hears, and what a node counts as.

use std::sync::{Arc, Mutex};

use futures_util::future;
use tokio::task::yield_now;
use tonic::{Code, Status};
use tower_micro::{
    CallOptions, Candidate, Mark, Selector, ServiceName, Static,
    crates::selector::{SelectOptions, Selection},
};
use tower_micro_testkit::Scripted;

use super::{At, on};
use crate::support::{
    Recording, builder, call, failing, greeting, greeting_until, node_of, scripted, soon,
};

#[tokio::test]
async fn the_selector_is_asked_once_a_call_and_told_of_every_attempt() {
    let recording = Recording::of(2);
    let client = scripted(&recording, |request| async move {
        match &*node_of(&request) {
            "n0" => Ok(failing(Status::unavailable("busy"))),
            node => Ok(greeting(node)),
        }
    });
    let client = client.options(CallOptions::new().idempotent(true));
    call(&client.build().unwrap()).await.unwrap();
    let expected = "select:greeter next:n0 mark:n0:failed next:n1 mark:n1:ok";
    assert_eq!(recording.diary.text(), expected);
}

#[tokio::test]
async fn a_node_is_marked_when_its_answer_has_ended_and_counts_as_busy_until_then() {
    let recording = Recording::of(1);
    let seen = recording.clone();
    let client = scripted(&recording, move |_| {
        let seen = seen.clone();
        async move {
            Ok(greeting_until("n0", async move {
                yield_now().await;
                assert_eq!(seen.in_flight(), 1);
                assert_eq!(seen.diary.count("mark:n0:ok"), 0);
                [("grpc-status", "0")]
            }))
        }
    });
    call(&client.build().unwrap()).await.unwrap();
    assert_eq!(recording.in_flight(), 0);
    assert_eq!(recording.diary.count("mark:n0:ok"), 1);
}

#[tokio::test]
async fn a_failure_in_the_trailers_marks_the_node_as_failed() {
    let recording = Recording::of(1);
    let client = scripted(&recording, |_| async {
        Ok(greeting_until("n0", async {
            yield_now().await;
            [("grpc-status", "13")]
        }))
    });
    let status = call(&client.build().unwrap()).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(
        recording.diary.text(),
        "select:greeter next:n0 mark:n0:failed"
    );
}

/// How many of six calls at once each of two nodes gets.
async fn shares(options: CallOptions) -> (usize, usize) {
    let arrived = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&arrived);
    let connect = Scripted::new(move |request| {
        seen.lock().unwrap().push(node_of(&request));
        future::pending()
    });
    let client = builder().registry(Static::new([on(["a", "b"])]));
    let client = client.connect(connect).options(options).build().unwrap();
    let calls = future::join_all((0..6).map(|_| call(&client)));
    let all_there = async {
        while arrived.lock().unwrap().len() < 6 {
            yield_now().await;
        }
    };
    tokio::select! {
        _ = calls => unreachable!("nobody answers"),
        () = soon(all_there) => {}
    }
    let arrived = arrived.lock().unwrap();
    let share = |id| arrived.iter().filter(|node| *node == id).count();
    (share("a"), share("b"))
}

#[tokio::test]
async fn the_less_busy_of_two_nodes_is_chosen() {
    assert_eq!(shares(CallOptions::new()).await, (3, 3));
    assert_eq!(shares(CallOptions::new().strategy(At(1))).await, (0, 6));
}

#[tokio::test]
async fn a_node_counts_a_call_no_more_though_its_mark_panics() {
    #[derive(Debug)]
    struct Clumsy(Recording);
    impl Selector for Clumsy {
        fn select(&self, service: &ServiceName, options: &SelectOptions) -> Selection {
            self.0.select(service, options)
        }

        fn mark(&self, _: &ServiceName, _: &Arc<Candidate>, _: Mark<'_>) {
            panic!("the book of marks is full");
        }

        fn name(&self) -> &'static str {
            "clumsy"
        }
    }
    let recording = Recording::of(1);
    let connect = Scripted::new(|_| async { Ok(failing(Status::not_found("nobody"))) });
    let client = builder()
        .selector(Clumsy(recording.clone()))
        .connect(connect);
    let status = call(&client.build().unwrap()).await.unwrap_err();
    assert!(status.message().contains("the book of marks is full"));
    assert_eq!(recording.in_flight(), 0);
}
