use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

fn metadata(entries: &[(&str, &str)]) -> Metadata {
    let mut metadata = Metadata::new();
    metadata.merge(entries.iter().copied(), true).unwrap();
    metadata
}

fn headers(lines: &[(&'static str, &'static [u8])]) -> HeaderMap {
    let line = |&(name, value): &(&'static str, &'static [u8])| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_bytes(value).unwrap(),
        )
    };
    lines
        .iter()
        .map(line)
        .fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        })
}

#[test]
fn keys_are_title_cased_as_go_does_it() {
    for (key, title) in [
        ("", ""),
        ("FOO", "FOO"),
        ("foo_bar", "Foo_bar"),
        ("foo bar", "Foo Bar"),
        ("x-request-id", "X-Request-Id"),
        ("X-Request-ID", "X-Request-ID"),
        ("1abc", "1abc"),
        ("a--b", "A--B"),
        ("f'oo", "F'Oo"),
        ("ünï", "Ünï"),
        ("é\u{a0}é", "É\u{a0}É"),
        ("éa", "Éa"),
        ("ßa", "ßa"),
    ] {
        assert_eq!(title_case(key), title);
    }
}

#[test]
fn a_key_is_the_same_in_any_case() {
    let mut metadata = metadata(&[("X-Request-ID", "1"), ("other", "2")]);
    metadata.insert("x-request-id", "3").unwrap();
    assert!(metadata.iter().eq([("X-Request-Id", "3"), ("Other", "2")]));
    assert_eq!(metadata.get("X-REQUEST-ID"), Some("3"));
    assert_eq!(metadata.remove("x-Request-iD").as_deref(), Some("3"));
    assert_eq!((metadata.get("x-request-id"), metadata.len()), (None, 1));
    assert_eq!(metadata.remove("x-request-id"), None);
}

#[test]
fn a_key_that_cannot_be_a_header_is_refused() {
    for key in [
        "",
        "two words",
        "naïve",
        "a/b",
        "a:b",
        "f'oo",
        "new\nline",
        "\u{212a}",
    ] {
        let refused = Metadata::new().insert(key, "v").unwrap_err();
        assert_eq!(
            refused,
            InvalidMetadata::Name {
                key: key.to_owned()
            }
        );
    }
}

#[test]
fn a_reserved_key_is_refused() {
    for key in [
        "grpc-timeout",
        "Grpc-Foo",
        ":authority",
        "Content-Type",
        "te",
        "User-Agent",
        "Connection",
        "host",
    ] {
        let refused = Metadata::new().insert(key, "v").unwrap_err();
        assert_eq!(
            refused,
            InvalidMetadata::Reserved {
                key: key.to_owned()
            }
        );
        assert_eq!(refused.key(), key);
    }
}

#[test]
fn a_value_that_a_header_cannot_carry_is_refused_and_not_shown() {
    for value in [
        "top\nsecret",
        "top\rsecret",
        "top\0secret",
        "top\tsecret",
        "topsecrét",
        "top\u{7f}secret",
    ] {
        let refused = Metadata::new().insert("x-v", value).unwrap_err();
        assert_eq!(
            refused,
            InvalidMetadata::Value {
                key: "x-v".to_owned()
            }
        );
        let text = format!("{refused} {refused:?}");
        assert!(text.contains("x-v") && !text.contains("top"), "{text}");
    }
}

#[test]
fn a_refused_patch_changes_nothing() {
    let mut metadata = metadata(&[("a", "1")]);
    assert!(metadata.merge([("a", "2"), ("b", "\n")], true).is_err());
    assert!(metadata.insert("a", "\n").is_err());
    assert!(metadata.iter().eq([("A", "1")]));
}

#[test]
fn merging_follows_go_micro() {
    let merged = |patch: &[(&str, &str)], overwrite| {
        let mut metadata = metadata(&[("a", "1")]);
        metadata.merge(patch.iter().copied(), overwrite).unwrap();
        metadata
    };
    assert_eq!(
        merged(&[("a", "2"), ("b", "3")], true),
        metadata(&[("b", "3"), ("A", "2")])
    );
    assert_eq!(
        merged(&[("A", "2"), ("b", "3")], false),
        metadata(&[("a", "1"), ("b", "3")])
    );
    assert_eq!(merged(&[("a", "")], true), Metadata::new());
    assert_eq!(merged(&[("a", "")], false), metadata(&[("a", "1")]));
    assert_eq!(merged(&[("b", "")], true), metadata(&[("a", "1")]));
}

#[test]
fn an_empty_value_can_be_sent() {
    let mut metadata = Metadata::new();
    metadata.insert("x-v", "").unwrap();
    let mut headers = HeaderMap::new();
    metadata.write_to(&mut headers);
    assert_eq!(
        (metadata.get("x-v"), headers["x-v"].is_empty()),
        (Some(""), true)
    );
}

#[test]
fn a_binary_value_travels_as_base64() {
    let metadata = metadata(&[("Bin-Bin", "\0\u{1}")]);
    let mut headers = HeaderMap::new();
    metadata.write_to(&mut headers);
    assert_eq!(headers["bin-bin"], "AAE");
    assert_eq!(metadata.get("bin-bin"), Some("\0\u{1}"));
}

#[test]
fn what_the_request_says_itself_counts() {
    let metadata = metadata(&[("foo", "ambient"), ("Bar", "ambient")]);
    let mut own = headers(&[("foo", b"own"), ("foo", b"own too")]);
    metadata.write_to(&mut own);
    assert_eq!(
        (own.get_all("foo").iter().count(), &own["bar"] == "ambient"),
        (2, true)
    );
}

#[test]
fn of_the_headers_of_a_request_only_those_for_everybody_go_on() {
    let inbound = headers(&[
        ("foo", b"bar"),
        ("foo", b"baz"),
        ("content-type", b"application/grpc"),
        ("te", b"trailers"),
        ("user-agent", b"grpc-go/1.26.0"),
        ("grpc-timeout", b"1S"),
        ("timeout", b"5000000000"),
        ("x-content-type", b"application/grpc+proto"),
        ("connection", b"close"),
        ("host", b"evil"),
        ("blob-bin", b"AAE"),
        ("x-odd", b"caf\xc3\xa9"),
        ("x-half-odd", b"fine"),
        ("x-half-odd", b"caf\xc3\xa9"),
        ("x-tab", b"a\tb"),
        ("x!y", b"no gRPC name"),
        ("authorization", b"Bearer t"),
        ("remote", b"1.2.3.4:5"),
    ]);
    let expected = [
        ("Foo", "bar, baz"),
        ("Authorization", "Bearer t"),
        ("Remote", "1.2.3.4:5"),
    ];
    assert!(Metadata::from_headers(&inbound).iter().eq(expected));
}

#[test]
fn secrets_are_not_printed() {
    let secrets = [
        "Authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "Auth-Token",
        "db-password",
        "client-secret",
    ];
    for key in secrets {
        let metadata = metadata(&[(key, "s3cret"), ("plain", "seen")]);
        let mut headers = HeaderMap::new();
        metadata.write_to(&mut headers);
        for text in [
            format!("{metadata:?}"),
            format!("{headers:?}"),
            format!("{:?}", Metadata::from_headers(&headers)),
        ] {
            assert!(text.contains("seen") && !text.contains("s3cret"), "{text}");
        }
        assert_eq!(metadata.get(key), Some("s3cret"));
    }
}

#[test]
fn a_header_that_came_as_sensitive_stays_so() {
    let mut inbound = headers(&[("plain", b"s3cret"), ("list", b"seen"), ("list", b"s3cret")]);
    let last = |(_, value): &(&HeaderName, &mut HeaderValue)| *value == "s3cret";
    for (_, value) in inbound.iter_mut().filter(last) {
        value.set_sensitive(true);
    }
    let metadata = Metadata::from_headers(&inbound);
    let mut outbound = HeaderMap::new();
    metadata.write_to(&mut outbound);
    assert!(outbound["plain"].is_sensitive() && outbound["list"].is_sensitive());
    assert_eq!(outbound["list"], "seen, s3cret");
    assert!(!format!("{metadata:?}").contains("s3cret"));
}

fn header_value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof!["[ -~]{0,9}".prop_map(String::into_bytes), any::<Vec<u8>>()]
}

proptest! {
    #[test]
    fn what_is_taken_reaches_the_other_side(key in "[A-Za-z0-9._-]{1,12}|\\PC{0,6}", value in "[ -~]{0,12}|\\PC{0,6}") {
        let mut sent = Metadata::new();
        let taken = sent.insert(&key, &value).is_ok();
        prop_assert_eq!(sent.get(&key), taken.then_some(value.as_str()));

        let mut headers = HeaderMap::new();
        sent.write_to(&mut headers);
        prop_assert_eq!(headers.len(), usize::from(taken));
        let is_for_one_hop = headers.keys().any(|name| !names::is_ambient(name.as_str()));
        let received = Metadata::from_headers(&headers);
        prop_assert_eq!(received, if is_for_one_hop { Metadata::new() } else { sent });
    }

    #[test]
    fn any_headers_are_read_without_a_panic(
        lines in prop::collection::vec(("[a-c!.-]{1,3}", header_value()), 0..9),
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.append(name.parse::<HeaderName>().unwrap(), value);
            }
        }
        for (key, value) in Metadata::from_headers(&headers).iter() {
            let values: Vec<_> = headers.get_all(key).iter().map(|value| value.to_str().unwrap()).collect();
            prop_assert_eq!(value, values.join(", "));
        }
    }
}
