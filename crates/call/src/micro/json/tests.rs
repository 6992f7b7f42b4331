use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::{Map, Value as Json};

use super::{Scanner, unquote, write::write_text};

fn written(text: &str) -> String {
    let mut out = String::new();
    write_text(&mut out, text).unwrap();
    out
}

fn is_json(text: &str) -> bool {
    let mut scanner = Scanner::new(text);
    scanner.value().is_some() && scanner.at_end()
}

#[test]
fn control_characters_are_written_as_go_wrote_them_before_1_22() {
    assert_eq!(
        written("\u{8}\u{c}\n\r\t\0\u{1f}\u{7f}"),
        "\"\\u0008\\u000c\\n\\r\\t\\u0000\\u001f\u{7f}\""
    );
}

#[test]
fn characters_with_a_meaning_in_html_and_javascript_are_escaped() {
    assert_eq!(
        written("<&>\u{2028}\u{2029}/\"\\"),
        r#""\u003c\u0026\u003e\u2028\u2029/\"\\""#
    );
}

#[test]
fn half_of_a_surrogate_pair_is_a_replacement_character() {
    assert_eq!(unquote(r"\ud83d\ude00"), "😀");
    assert_eq!(unquote(r"a\ud83d!"), "a\u{fffd}!");
    assert_eq!(unquote(r"\ude00\ud83d"), "\u{fffd}\u{fffd}");
    assert_eq!(unquote(r"\ud83d😀"), "\u{fffd}😀");
}

#[test]
fn nesting_ends_where_it_ends_in_go() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(is_json(&nested(9_999)));
    assert!(!is_json(&nested(10_000)));
    assert!(!is_json(&"[".repeat(1_000_000)));
    assert!(!is_json(&r#"{"a":"#.repeat(1_000_000)));
}

#[test]
fn what_is_almost_a_value_is_none() {
    let almost = [
        "",
        "-",
        "01",
        "1.",
        "1e",
        "+1",
        ".5",
        "nul",
        "tru",
        "nullx",
        "'a'",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12é\"",
        "\"\n\"",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "[}",
        "{]",
        "[1}",
        "\u{a0}1",
        "1\u{b}",
    ];
    for text in almost {
        assert!(!is_json(text), "{text:?}");
    }
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|members| Json::from(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Text that is JSON, or would be but for one place.
fn nearly_json() -> impl Strategy<Value = String> {
    let piece = "[\\[\\]{}:,\"\\\\ \n0-9eE.+\\-unrt]{0,3}";
    (json(), any::<prop::sample::Index>(), piece, any::<bool>()).prop_map(
        |(json, place, piece, replace)| {
            let mut characters: Vec<char> = json.to_string().chars().collect();
            let at = place.index(characters.len());
            let to = if replace { at + 1 } else { at };
            characters.splice(at..to, piece.chars());
            characters.into_iter().collect()
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(text: String) {
        let json = written(&text);
        prop_assert_eq!(unquote(&json[1..json.len() - 1]), text.as_str());
        prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }

    #[test]
    fn all_json_is_json(json in json()) {
        prop_assert!(is_json(&json.to_string()));
        let spaced = format!(" {json:#}\r\n");
        prop_assert!(is_json(&spaced), "{}", spaced);
    }

    #[test]
    fn the_scanner_agrees_with_another_one(text in nearly_json()) {
        prop_assert_eq!(is_json(&text), serde_json::from_str::<IgnoredAny>(&text).is_ok(), "{}", text);
    }

    #[test]
    fn any_text_is_read_without_a_panic(text: String, json in "[\\[\\]{}:,\"\\\\u0-9a-fntrsl.eE+\\- é]{0,40}") {
        prop_assert_eq!(is_json(&text), serde_json::from_str::<IgnoredAny>(&text).is_ok());
        prop_assert_eq!(is_json(&json), serde_json::from_str::<IgnoredAny>(&json).is_ok(), "{}", json);
    }
}
