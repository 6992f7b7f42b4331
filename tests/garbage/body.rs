//! Bodies that are cut off, too large, or no gRPC.

use std::time::Duration;

use tower_micro_testkit::h2_peer::{
    Step::{self, Close, Data, End, Reset, UntilReset, Wait},
    reason::NO_ERROR,
};

use super::told::{Told, told};

const TRUNCATED: &str = "Unknown: the response ended without a grpc-status";
const OVERDUE: &str = "DeadlineExceeded: deadline of 1s exceeded";

/// The first half of a message.
fn half() -> Step {
    Data(vec![0, 0, 0, 0, 7, 10, 5, b'H'])
}

fn answer(steps: impl IntoIterator<Item = Step>) -> Vec<Step> {
    [Step::answer()].into_iter().chain(steps).collect()
}

/// Text, where gRPC is expected.
fn html(status: &str) -> [Step; 3] {
    let headers = Step::headers([(":status", status), ("content-type", "text/html")]);
    [headers, Data(b"<html>no</html>".to_vec()), End]
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_ends_without_trailers_is_a_failure_whatever_came_before() {
    let late = Told::each(TRUNCATED, &format!("Hello {TRUNCATED}"));
    for end in [End, Reset(NO_ERROR)] {
        assert_eq!(told(answer([end.clone()])).await, Told::all(TRUNCATED));
        let cut = told(answer([half(), end.clone()])).await;
        assert_eq!(cut, Told::all(TRUNCATED));
        assert_eq!(told(answer([Step::greeting(), end])).await, late);
    }
}

#[tokio::test(start_paused = true)]
async fn messages_that_came_before_the_connection_broke_are_the_streams() {
    const BROKEN: &str = "Unavailable: h2 protocol error: error reading a body from connection: \
        stream closed because of a broken pipe";
    let cut = told(answer([Step::greeting(), Step::greeting(), Close])).await;
    assert_eq!(cut, Told::each(BROKEN, &format!("Hello Hello {BROKEN}")));
}

// A stream that is cut off within a message and yet ends well is the end to tonic's decoder.
#[tokio::test(start_paused = true)]
async fn half_a_message_before_a_status_that_says_ok_is_no_message() {
    let missing = Told::each("Internal: Missing response message.", "");
    for cut in [half(), Data(vec![0, 0]), Data(vec![])] {
        assert_eq!(told(answer([cut, Step::status("0")])).await, missing);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_no_protobuf_is_internal() {
    let garbage = answer([Step::message(b"\xff\xff\xff"), Step::status("0")]);
    let text = "Internal: failed to decode Protobuf message: invalid varint";
    assert_eq!(told(garbage).await, Told::all(text));
}

#[tokio::test(start_paused = true)]
async fn an_answer_above_the_limit_is_out_of_range() {
    const LARGE: &str = "OutOfRange: Error, decoded message length too large: \
        found 5242880 bytes, the limit is: 4194304 bytes";
    let large = answer([Step::message(&[0; 5 << 20]), Step::status("0")]);
    assert_eq!(told(large).await, Told::all(LARGE));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_announced_with_4_gib_is_not_waited_for() {
    const HUGE: &str = "OutOfRange: Error, decoded message length too large: \
        found 4294967295 bytes, the limit is: 4194304 bytes";
    let huge = told(answer([Data(vec![0, 255, 255, 255, 255, 1, 2])])).await;
    // Where the whole answer is waited for anyway, its time is all there is.
    let known = OVERDUE.to_owned();
    assert_eq!(
        huge,
        Told {
            known,
            ..Told::all(HUGE)
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_flag_that_says_compressed_needs_an_encoding_that_is_known() {
    let compressed = || Data(vec![1, 0, 0, 0, 1, 1]);
    let bare = told(answer([compressed(), Step::status("0")])).await;
    let text = "Internal: protocol error: received message with compressed-flag \
        but no grpc-encoding was specified";
    assert_eq!(bare, Told::all(text));
    let headers = Step::headers([(":status", "200"), ("grpc-encoding", "nonsense")]);
    let encoded = told([headers, compressed(), Step::status("0")]).await;
    let text = "Unimplemented: Content is compressed with `nonsense` which isn't supported";
    assert_eq!(encoded, Told::all(text));
}

#[tokio::test(start_paused = true)]
async fn a_flag_that_is_none_is_internal() {
    let flag = told(answer([Data(vec![7, 0, 0, 0, 1, 1]), Step::status("0")])).await;
    let text = "Internal: protocol error: received message with invalid compression flag: 7 \
        (valid flags are 0 and 1) while receiving response with status: 200 OK";
    assert_eq!(flag, Told::all(text));
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_content_type_is_read_as_grpc() {
    let headers = Step::headers([(":status", "200")]);
    let bare = told([headers, Step::greeting(), Step::status("0")]).await;
    assert_eq!(bare, Told::all("Hello"));
}

#[tokio::test(start_paused = true)]
async fn a_page_of_html_is_told_by_its_http_status() {
    let text = |code: &str, http: &str| {
        let text = "and no grpc-status: is it a gRPC server?";
        Told::all(&format!(
            "{code}: the node answered with HTTP {http} {text}"
        ))
    };
    for (status, expected) in [
        ("401", text("Unauthenticated", "401 Unauthorized")),
        ("403", text("PermissionDenied", "403 Forbidden")),
        ("404", text("Unimplemented", "404 Not Found")),
        ("502", text("Unavailable", "502 Bad Gateway")),
        ("204", text("Unknown", "204 No Content")),
        ("999", text("Unknown", "999 <unknown status code>")),
    ] {
        assert_eq!(told(html(status)).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_of_html_that_says_it_went_well_is_no_message() {
    let text = "Internal: protocol error: received message with invalid compression flag: 60 \
        (valid flags are 0 and 1) while receiving response with status: 200 OK";
    // Where the whole answer is waited for, the missing status comes first.
    let known = TRUNCATED.to_owned();
    assert_eq!(
        told(html("200")).await,
        Told {
            known,
            ..Told::all(text)
        }
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_ends_has_the_time_of_its_call() {
    let now_and_then = |step| [step, Wait(Duration::from_millis(300))];
    let endless = |step| UntilReset(now_and_then(step).to_vec());
    let messages = told(answer([endless(Step::greeting())])).await;
    let hellos = format!("Hello Hello Hello Hello {OVERDUE}");
    assert_eq!(messages, Told::each(OVERDUE, &hellos));
    let bytes = told(answer([Data(vec![0, 0, 16, 0, 0]), endless(Data(vec![1]))])).await;
    assert_eq!(bytes, Told::all(OVERDUE));
    let silence = told(answer([endless(Data(vec![]))])).await;
    assert_eq!(silence, Told::all(OVERDUE));
}

#[tokio::test(start_paused = true)]
async fn a_message_in_frames_of_one_byte_is_a_message() {
    let bytes = [&[0, 0, 0, 0x80, 4, 10, 0x80, 0x80, 2][..], &[b'a'; 0x8000]].concat();
    let bytes = bytes.into_iter().map(|byte| Data(vec![byte]));
    let message = told(answer(bytes.chain([Step::status("0")]))).await;
    assert_eq!(message, Told::all(&"a".repeat(0x8000)));
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_the_trailers_is_not_looked_at() {
    let more = [Step::status("0"), Data(vec![1]), Step::status("13")];
    let told = told(answer([Step::greeting()].into_iter().chain(more))).await;
    assert_eq!(told, Told::all("Hello"));
}
