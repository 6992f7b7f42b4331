//! Floods: h2 ends those it counts, the deadline ends the others.

use std::time::Duration;

use tower_micro_testkit::h2_peer::Step::{
    self, Data, Frame, Goaway, Ping, UntilReset, Wait, WindowUpdate,
};

use super::told::{Told, told};

const OVERDUE: &str = "DeadlineExceeded: deadline of 1s exceeded";

fn frame(kind: u8, stream: u32, payload: &[u8]) -> Step {
    let (flags, payload) = (0, payload.to_vec());
    Frame {
        kind,
        flags,
        stream,
        payload,
    }
}

/// A hundred a millisecond.
fn flood(step: Step) -> Step {
    let pause = Wait(Duration::from_millis(1));
    UntilReset(vec![step; 100].into_iter().chain([pause]).collect())
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_frames_about_the_connection_leaves_calls_their_deadline() {
    let floods = [
        Ping,
        frame(4, 0, &[]),
        WindowUpdate { stream: 0, by: 1 },
        frame(0xee, 0, &[]),
        frame(2, 1, &[0; 5]),
        Goaway { last: 1, reason: 0 },
    ];
    for step in floods {
        assert_eq!(
            told([flood(step.clone())]).await,
            Told::all(OVERDUE),
            "{step:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn pings_in_the_middle_of_an_answer_leave_it_its_deadline() {
    assert_eq!(
        told([Step::answer(), flood(Ping)]).await,
        Told::all(OVERDUE)
    );
}

#[tokio::test(start_paused = true)]
async fn early_hints_without_end_are_no_answer() {
    let hint = Step::headers([(":status", "103")]);
    assert_eq!(told([flood(hint)]).await, Told::all(OVERDUE));
}

#[tokio::test(start_paused = true)]
async fn a_header_block_without_end_ends_the_connection() {
    let begun = frame(1, 1, &[0x88]);
    let text = "Unavailable: transport error: http2 error: connection error detected: \
        detected excessive load generating behavior (b\"too_many_continuations\")";
    assert_eq!(
        told([begun, flood(frame(9, 1, &[]))]).await,
        Told::all(text)
    );
}

#[tokio::test(start_paused = true)]
async fn empty_data_without_end_ends_the_connection() {
    let text = "Unavailable: h2 protocol error: error reading a body from connection: \
        connection error detected: detected excessive load generating behavior \
        (b\"too_many_data_frames\")";
    let told = told([Step::answer(), flood(Data(vec![]))]).await;
    assert_eq!(told, Told::all(text));
}
