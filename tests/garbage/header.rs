//! Header lists at the edge of what they may be, and beyond it.

use tower_micro_testkit::h2_peer::Step;

use super::told::{Told, told};

const CONNECTION: &str = "connection error detected: unspecific protocol error detected";
const STREAM: &str = "stream error detected: unspecific protocol error detected";
const WAY_TOO_LARGE: &str = "connection error detected: detected excessive load generating \
    behavior (b\"header_list_way_too_large\")";

/// A field in the headers of an answer that is good otherwise.
fn early(name: &[u8], value: &[u8]) -> [Step; 3] {
    let headers = [(b":status".as_slice(), b"200".as_slice()), (name, value)];
    [Step::headers(headers), Step::greeting(), Step::status("0")]
}

/// A field in the trailers of an answer that is good otherwise.
fn late(name: &[u8], value: &[u8]) -> [Step; 3] {
    let trailers = [(b"grpc-status".as_slice(), b"0".as_slice()), (name, value)];
    [Step::answer(), Step::greeting(), Step::trailers(trailers)]
}

/// What is told if h2 gives up before the headers.
fn before(code: &str, why: &str) -> Told {
    Told::all(&format!("{code}: transport error: http2 error: {why}"))
}

/// What is told if h2 gives up after a message.
fn after(code: &str, why: &str) -> Told {
    let text = format!("{code}: h2 protocol error: error reading a body from connection: {why}");
    Told::each(&text, &format!("Hello {text}"))
}

#[tokio::test(start_paused = true)]
async fn values_at_the_edge_of_what_they_may_be_do_no_harm() {
    let values: [(&[u8], &[u8]); 7] = [
        (b"x", b"\x80\xff"),
        (b"x", b"a\tb"),
        (b"x", b""),
        (b"x-bin", b"!!"),
        (b"grpc-retry-pushback-ms", b"\xff"),
        (b"grpc-timeout", b"\xff"),
        (b"grpc-server-stats-bin", b"\xff"),
    ];
    for (name, value) in values {
        assert_eq!(told(early(name, value)).await, Told::all("Hello"));
        assert_eq!(told(late(name, value)).await, Told::all("Hello"));
    }
}

#[tokio::test(start_paused = true)]
async fn fields_that_http_2_forbids_end_the_connection() {
    let fields: [(&[u8], &[u8]); 9] = [
        (b"x", b"\0"),
        (b"x", b"a\r\nb"),
        (b"x", b"\x7f"),
        (b"X", b"a"),
        (b"", b"a"),
        (b"\xff", b"a"),
        (b"a b", b"a"),
        (b":x", b"a"),
        (b":status", b"abc"),
    ];
    for (name, value) in fields {
        assert_eq!(
            told(early(name, value)).await,
            before("Unavailable", CONNECTION)
        );
        assert_eq!(
            told(late(name, value)).await,
            after("Unavailable", CONNECTION)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn fields_that_make_a_message_malformed_end_the_stream() {
    let fields: [(&[u8], &[u8]); 3] = [
        (b"connection", b"close"),
        (b"te", b"x"),
        (b":status", b"200"),
    ];
    for (name, value) in fields {
        assert_eq!(told(early(name, value)).await, before("Internal", STREAM));
        assert_eq!(told(late(name, value)).await, after("Internal", STREAM));
    }
}

#[tokio::test(start_paused = true)]
async fn headers_without_a_status_of_http_end_the_stream() {
    for none in [Step::headers([("x", "y")]), Step::Headers(Vec::new())] {
        let answer = [none, Step::greeting(), Step::status("0")];
        assert_eq!(told(answer).await, before("Internal", STREAM));
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_of_http_that_is_none_ends_the_connection() {
    for status in ["", "99", "abc", "1000"] {
        let answer = [Step::headers([(":status", status)]), Step::status("0")];
        assert_eq!(told(answer).await, before("Unavailable", CONNECTION));
    }
}

#[tokio::test(start_paused = true)]
async fn a_length_that_does_not_fit_ends_the_stream() {
    let short = told(early(b"content-length", b"3")).await;
    let text =
        format!("Internal: h2 protocol error: error reading a body from connection: {STREAM}");
    assert_eq!(short, Told::all(&text));
    let none = told(early(b"content-length", b"x")).await;
    assert_eq!(none, before("Internal", STREAM));
}

#[tokio::test(start_paused = true)]
async fn a_header_list_may_have_16_kib() {
    let value = |kib: usize| vec![b'a'; kib << 10];
    assert_eq!(told(early(b"x", &value(15))).await, Told::all("Hello"));
    let large = told(early(b"x", &value(16))).await;
    assert_eq!(large, before("Internal", STREAM));
    let larger = told(early(b"x", &value(64))).await;
    assert_eq!(larger, before("Unavailable", WAY_TOO_LARGE));
}

#[tokio::test(start_paused = true)]
async fn trailers_may_have_a_little_more() {
    let value = |kib: usize| vec![b'a'; kib << 10];
    assert_eq!(told(late(b"x", &value(17))).await, Told::all("Hello"));
    let larger = told(late(b"x", &value(64))).await;
    assert_eq!(larger, after("Unavailable", WAY_TOO_LARGE));
}

#[tokio::test(start_paused = true)]
async fn a_list_of_very_many_fields_is_too_large_though_they_are_empty() {
    let fields = |count| {
        [(":status", "200")]
            .into_iter()
            .chain(vec![("a", ""); count])
    };
    let answer = |count| {
        [
            Step::headers(fields(count)),
            Step::greeting(),
            Step::status("0"),
        ]
    };
    assert_eq!(told(answer(400)).await, Told::all("Hello"));
    let many = told(answer(30_000)).await;
    assert_eq!(many, before("Unavailable", WAY_TOO_LARGE));
}
