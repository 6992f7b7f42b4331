//! Calls that are sent to a second node because the first takes its time.

use std::time::Duration;

use tokio::time::{advance, sleep};
use tower_micro::{CallOptions, Client, Hedge};
use tower_micro_testkit::Answer as Does;

use crate::support::{
    Fleet, Recording, builder, call, greeter, greeting, hello, node_of, number_of, scripted,
};

const STEP: Duration = Duration::from_millis(10);

fn hedged(delay: Duration) -> CallOptions {
    CallOptions::new()
        .idempotent(true)
        .hedge(Hedge::after(delay))
}

#[tokio::test]
async fn a_node_that_does_not_answer_holds_no_call_up() {
    let fleet = Fleet::of(3).await;
    fleet.greeters[0].answer(Does::Never);
    let client = builder().registry(fleet.registry());
    let client = client.options(hedged(STEP)).build().unwrap();
    while fleet.greeters[0].calls() < 3 {
        assert_ne!(call(&client).await.unwrap().node, "n0");
    }
}

/// The first node answers after six steps; the second, which is asked after two, after two.
fn slow_then_quick() -> (Recording, Client) {
    let recording = Recording::of(3);
    let client = scripted(&recording, |request| async move {
        let steps = if number_of(&request) == 0 { 6 } else { 2 };
        sleep(steps * STEP).await;
        Ok(greeting(node_of(&request)))
    });
    let client = client.options(hedged(2 * STEP)).build().unwrap();
    (recording, client)
}

#[tokio::test(start_paused = true)]
async fn who_loses_is_marked_as_cancelled_and_who_wins_as_good() {
    let (recording, client) = slow_then_quick();
    assert_eq!(call(&client).await.unwrap().node, "n1");
    let expected = "select:greeter next:n0 next:n1 mark:n0:cancelled mark:n1:ok";
    assert_eq!(recording.diary.text(), expected);
    assert_eq!(recording.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_takes_all_its_attempts_along() {
    for polls in 0.. {
        let (recording, client) = slow_then_quick();
        let mut greeter = greeter(&client);
        let mut call = tokio_test::task::spawn(greeter.say_hello(hello()));
        let mut over = false;
        for _ in 0..polls {
            over = over || call.poll().is_ready();
            advance(STEP / 2).await;
        }
        drop(call);
        let entries = recording.diary.entries();
        let count = |what: &str| {
            let of_kind = entries.iter().filter(|entry| entry.starts_with(what));
            of_kind.count()
        };
        assert_eq!(count("next:"), count("mark:"), "{entries:?}");
        assert_eq!(count("mark:n1:ok"), usize::from(over), "{entries:?}");
        assert_eq!(recording.in_flight(), 0);
        if over {
            assert!(polls > 8, "all steps were seen, not only {polls}");
            return;
        }
    }
}
