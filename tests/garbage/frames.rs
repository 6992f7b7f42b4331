//! Frames that break the rules of HTTP/2, instead of an answer or before it.

use tower_micro_testkit::h2_peer::Step::{self, Bytes, Data, Frame, WindowUpdate};

use super::told::{Told, told};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const UNASSIGNED: u8 = 0xee;

const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Step {
    let payload = payload.to_vec();
    Frame {
        kind,
        flags,
        stream,
        payload,
    }
}

/// A setting, as it stands in a frame.
fn setting(name: u8, value: u32) -> Step {
    let payload = [&[0, name][..], &value.to_be_bytes()].concat();
    frame(SETTINGS, 0, 0, &payload)
}

/// What is told of `frames` and a good answer after them.
async fn told_before_an_answer(frames: impl IntoIterator<Item = Step>) -> Told {
    let answer = [Step::answer(), Step::greeting(), Step::status("0")];
    told(frames.into_iter().chain(answer)).await
}

async fn end_the_connection(frames: impl IntoIterator<Item = Step>, why: &str) {
    let text =
        format!("Unavailable: transport error: http2 error: connection error detected: {why}");
    for frame in frames {
        let told = told_before_an_answer([frame.clone()]).await;
        assert_eq!(told, Told::all(&text), "{frame:?}");
    }
}

const PROTOCOL: &str = "unspecific protocol error detected";

#[tokio::test(start_paused = true)]
async fn frames_that_mean_nothing_are_passed_over() {
    let harmless = [
        frame(UNASSIGNED, 0xff, 1, b"what"),
        frame(UNASSIGNED, 0xff, 0, b"what"),
        frame(SETTINGS, 0, 0, &[0xff, 0xff, 1, 2, 3, 4]),
        frame(PING, ACK, 0, &[0; 8]),
        setting(1, 0),
        setting(1, u32::MAX),
        setting(6, 0),
    ];
    for frame in harmless {
        let told = told_before_an_answer([frame.clone()]).await;
        assert_eq!(told, Told::all("Hello"), "{frame:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn frames_on_a_stream_they_have_no_business_on_end_the_connection() {
    let astray = [
        frame(DATA, 0, 0, b"x"),
        frame(HEADERS, END_HEADERS, 0, &[0x88]),
        frame(RST_STREAM, 0, 0, &[0; 4]),
        frame(SETTINGS, 0, 1, &[]),
        frame(PING, 0, 1, &[0; 8]),
        frame(GOAWAY, 0, 1, &[0; 8]),
        frame(HEADERS, END_HEADERS, 2, &[0x88]),
        frame(HEADERS, END_HEADERS, 77, &[0x88]),
        frame(DATA, 0, 77, b"x"),
        frame(RST_STREAM, 0, 77, &[0; 4]),
        frame(CONTINUATION, END_HEADERS, 1, &[0x88]),
        frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x88]),
    ];
    end_the_connection(astray, PROTOCOL).await;
}

#[tokio::test(start_paused = true)]
async fn settings_that_cannot_be_end_the_connection() {
    let wrong = [
        frame(SETTINGS, 0, 0, &[0; 5]),
        frame(SETTINGS, ACK, 0, &[0; 6]),
        frame(SETTINGS, ACK, 0, &[]),
        setting(2, 7),
        setting(4, u32::MAX),
        setting(5, 0),
    ];
    end_the_connection(wrong, PROTOCOL).await;
}

#[tokio::test(start_paused = true)]
async fn frames_of_a_length_they_cannot_have_end_the_connection() {
    let wrong = [
        frame(PING, 0, 0, &[0; 3]),
        frame(GOAWAY, 0, 0, &[0; 3]),
        frame(RST_STREAM, 0, 1, &[0; 3]),
        frame(DATA, PADDED, 1, &[9, 0]),
    ];
    end_the_connection(wrong, PROTOCOL).await;
    let long = [frame(DATA, 0, 1, &[0; 16_385]), Bytes(vec![0xff; 1000])];
    end_the_connection(long, "frame with invalid size").await;
}

#[tokio::test(start_paused = true)]
async fn windows_that_cannot_be_end_the_connection() {
    let wrong = [
        WindowUpdate { stream: 0, by: 0 },
        WindowUpdate { stream: 99, by: 5 },
    ];
    end_the_connection(wrong, PROTOCOL).await;
    let (stream, by) = (0, i32::MAX.unsigned_abs());
    let overflow = WindowUpdate { stream, by };
    end_the_connection([overflow], "flow-control protocol violated").await;
}

#[tokio::test(start_paused = true)]
async fn header_blocks_that_cannot_be_read_end_the_connection() {
    let wrong = [
        frame(HEADERS, END_HEADERS, 1, &[0x80]),
        frame(HEADERS, END_HEADERS, 1, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        frame(HEADERS, END_HEADERS, 1, &[0, 5, b'a']),
        frame(
            HEADERS,
            END_HEADERS,
            1,
            &[0, 0x84, 0xff, 0xff, 0xff, 0xff, 0],
        ),
    ];
    end_the_connection(wrong, PROTOCOL).await;
}

#[tokio::test(start_paused = true)]
async fn text_instead_of_frames_ends_the_connection() {
    let text = Bytes(b"HTTP/1.1 500 oh no\r\n\r\n".to_vec());
    end_the_connection([text], "frame with invalid size").await;
    end_the_connection([Bytes(vec![0; 1000])], PROTOCOL).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_begins_in_its_middle_ends_the_connection() {
    end_the_connection([Data(vec![0; 9])], PROTOCOL).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_depends_on_itself_is_reset() {
    let told = told_before_an_answer([frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 0])]).await;
    let text = format!("Internal: transport error: http2 error: stream error detected: {PROTOCOL}");
    assert_eq!(told, Told::all(&text));
}

#[tokio::test(start_paused = true)]
async fn headers_in_the_middle_of_an_answer_end_the_stream() {
    let told = told_before_an_answer([Step::answer(), Step::greeting()]).await;
    let text = "Internal: h2 protocol error: error reading a body from connection: \
        stream error detected: unspecific protocol error detected";
    assert_eq!(told, Told::each(text, &format!("Hello {text}")));
}
