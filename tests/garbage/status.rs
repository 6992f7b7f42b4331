//! Statuses that are none.

use tower_micro_testkit::h2_peer::Step;

use super::told::{Told, told};

type Fields<'a> = &'a [(&'a str, &'a [u8])];

/// The fields in the headers, with nothing after them.
fn at_once(fields: Fields) -> Vec<Step> {
    let ok: Fields = &[(":status", b"200"), ("content-type", b"application/grpc")];
    vec![Step::trailers([ok, fields].concat())]
}

/// The fields in the trailers, after a message.
fn at_last(fields: Fields) -> Vec<Step> {
    let trailers = Step::trailers(fields.iter().copied());
    vec![Step::answer(), Step::greeting(), trailers]
}

/// All callers are told `text`, be it in the headers or in the trailers.
async fn is_told(fields: Fields<'_>, text: &str) {
    let late = Told::each(text, &format!("Hello {text}"));
    assert_eq!(told(at_once(fields)).await, Told::all(text));
    assert_eq!(told(at_last(fields)).await, late);
}

#[tokio::test(start_paused = true)]
async fn details_that_are_not_base64_are_dropped_and_the_rest_stands() {
    let broken: Fields = &[("grpc-status", b"13"), ("grpc-message", b"broken")];
    for garbage in [b"!!!".as_slice(), b"A", b"====", b"\xff\xfe"] {
        let details: Fields = &[("grpc-status-details-bin", garbage)];
        is_told(&[broken, details].concat(), "Internal: broken").await;
    }
}

#[tokio::test(start_paused = true)]
async fn details_that_are_not_base64_do_no_harm_to_a_call_that_went_well() {
    let details: (&str, &[u8]) = ("grpc-status-details-bin", b"!!!");
    let well = told(at_last(&[("grpc-status", b"0"), details])).await;
    assert_eq!(well, Told::all("Hello"));
    let headers = [(":status", b"200".as_slice()), details];
    let early = [Step::headers(headers), Step::greeting(), Step::status("0")];
    assert_eq!(told(early).await, Told::all("Hello"));
}

#[tokio::test(start_paused = true)]
async fn a_status_that_is_no_code_is_unknown_and_the_message_shows_it() {
    for none in [
        "x",
        "",
        "00",
        "+0",
        "+5",
        "05",
        " 0",
        "0 ",
        "-1",
        "1e1",
        "99999999999999999999",
    ] {
        let shown = format!(
            "Unknown: the node answered with grpc-status {none:?}, which is no code of gRPC"
        );
        is_told(&[("grpc-status", none.as_bytes())], &shown).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_code_nobody_assigned_is_unknown_and_its_message_stands() {
    is_told(
        &[("grpc-status", b"99"), ("grpc-message", b"new")],
        "Unknown: new",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_first_of_two_statuses_counts() {
    let told_ok = told(at_last(&[("grpc-status", b"0"), ("grpc-status", b"13")])).await;
    assert_eq!(told_ok, Told::all("Hello"));
    is_told(
        &[("grpc-status", b"13"), ("grpc-status", b"0")],
        "Internal: ",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_decoded_is_shown_as_far_as_it_can() {
    let messages: [(&[u8], &str); 4] = [
        (b"%", "Internal: %"),
        (b"%zz%4", "Internal: %zz%4"),
        (b"a%ffb", "Internal: a\u{fffd}b"),
        (b"\xff caf\xc3\xa9", "Internal: \u{fffd} café"),
    ];
    for (message, text) in messages {
        is_told(&[("grpc-status", b"13"), ("grpc-message", message)], text).await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_status_at_all_is_a_failure_of_the_node() {
    const NONE: &str = "Unknown: the response ended without a grpc-status";
    is_told(&[("x", b"y")], NONE).await;
    is_told(&[("grpc-message", b"no status")], NONE).await;
}
