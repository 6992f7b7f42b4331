//! Reading an error out of a text, as go-micro's `errors.Parse` does.

use super::{
    Error,
    json::{Scanner, Value, unquote},
};

impl Error {
    /// Reads an error out of a text, exactly as go-micro's `errors.Parse` does. It always gives an error.
    ///
    /// - A JSON object gives its members `id`, `code`, `detail` and `status`, in any case; of two alike the last
    ///   counts, and `null` changes nothing. `null` alone is the empty error.
    /// - A member of the wrong type is left out, and the detail becomes the whole text; the other members stay. A
    ///   code must be a whole number of 32 bits: `"500"`, `408.0` and `99999999999` are of the wrong type.
    /// - Any other text, JSON with something behind it included, becomes the detail and nothing else.
    ///
    /// Objects and arrays may be nested 10 000 deep, as in Go; deeper ones are a text like any other. The stack does
    /// not grow with the depth.
    ///
    /// ```
    /// use tower_micro_call::micro::Error;
    ///
    /// assert_eq!(Error::parse(r#"{"id":"a","CODE":500}"#).code, 500);
    /// assert_eq!(Error::parse("connection refused").detail, "connection refused");
    ///
    /// let half = Error::parse(r#"{"id":"a","code":"500"}"#);
    /// assert_eq!((half.id.as_str(), half.code), ("a", 0));
    /// assert_eq!(half.detail, r#"{"id":"a","code":"500"}"#);
    /// ```
    pub fn parse(text: &str) -> Self {
        let read = read(text).unwrap_or_else(Read::nothing);
        if read.is_whole {
            return read.error;
        }
        Self {
            detail: text.to_owned(),
            ..read.error
        }
    }
}

/// What could be read, and whether that was all.
struct Read {
    error: Error,
    is_whole: bool,
}

impl Read {
    fn nothing() -> Self {
        Self {
            error: Error::default(),
            is_whole: false,
        }
    }

    fn everything() -> Self {
        Self {
            is_whole: true,
            ..Self::nothing()
        }
    }

    fn set(&mut self, name: &str, value: &Value<'_>) {
        let name = unquote(name);
        self.is_whole &= match name.as_str() {
            _ if matches!(value, Value::Null) => true,
            name if is_called(name, "id") => set_text(&mut self.error.id, value),
            name if is_called(name, "code") => set_number(&mut self.error.code, value),
            name if is_called(name, "detail") => set_text(&mut self.error.detail, value),
            name if is_called(name, "status") => set_text(&mut self.error.status, value),
            _ => true,
        };
    }
}

/// `None` for a syntax error and for what is neither an object nor null.
fn read(text: &str) -> Option<Read> {
    let mut scanner = Scanner::new(text);
    let read = if scanner.take(b'{') {
        members(&mut scanner)?
    } else {
        (scanner.value()? == Value::Null).then(Read::everything)?
    };
    scanner.at_end().then_some(read)
}

fn members(scanner: &mut Scanner<'_>) -> Option<Read> {
    let mut read = Read::everything();
    if scanner.take(b'}') {
        return Some(read);
    }
    loop {
        let name = scanner.name()?;
        read.set(name, &scanner.value()?);
        if scanner.take(b'}') {
            return Some(read);
        }
        if !scanner.take(b',') {
            return None;
        }
    }
}

/// Go compares names by Unicode case folding, in which the long s is an s.
fn is_called(name: &str, member: &str) -> bool {
    let folded = name.chars().map(|character| match character {
        'ſ' => 's',
        other => other.to_ascii_lowercase(),
    });
    folded.eq(member.chars())
}

fn set_text(member: &mut String, value: &Value<'_>) -> bool {
    let Value::Text(quoted) = value else {
        return false;
    };
    *member = unquote(quoted);
    true
}

fn set_number(member: &mut i32, value: &Value<'_>) -> bool {
    let Value::Number(digits) = value else {
        return false;
    };
    let Ok(number) = digits.parse() else {
        return false;
    };
    *member = number;
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    fn only_detail(text: &str) -> Error {
        Error {
            detail: text.to_owned(),
            ..Error::default()
        }
    }

    #[test]
    fn a_text_that_is_not_an_object_becomes_the_detail() {
        for text in [
            "",
            "boom",
            "[]",
            "5",
            "true",
            "\"a\"",
            "[{\"code\":500}]",
            "nul",
            "null null",
        ] {
            assert_eq!(Error::parse(text), only_detail(text), "{text:?}");
        }
    }

    #[test]
    fn null_is_the_empty_error() {
        assert_eq!(Error::parse(" null\n"), Error::default());
        assert_eq!(Error::parse("{ }"), Error::default());
    }

    #[test]
    fn a_syntax_error_leaves_nothing_but_the_detail() {
        for text in [
            r#"{"code":408} trailing"#,
            r#"{"code":408,}"#,
            r#"{"code":408"#,
            r#"{"code":408,"id"}"#,
            r#"{"code":0408}"#,
            r#"{"id":"\x"}"#,
        ] {
            assert_eq!(Error::parse(text), only_detail(text), "{text:?}");
        }
    }

    #[test]
    fn members_before_and_after_one_of_the_wrong_type_stay() {
        for wrong in ["true", "{\"a\":1}", "[1]", "7"] {
            let text = format!(r#"{{"id":"x","detail":{wrong},"code":500,"status":"s"}}"#);
            let error = Error::parse(&text);
            assert_eq!((error.id.as_str(), error.code), ("x", 500));
            assert_eq!((error.detail, error.status.as_str()), (text, "s"));
        }
    }

    #[test]
    fn a_code_is_a_whole_number_of_32_bits() {
        for wrong in [
            "408.0",
            "4e2",
            "2147483648",
            "-2147483649",
            "\"408\"",
            "false",
            "[]",
        ] {
            let text = format!(r#"{{"code":7,"code":{wrong}}}"#);
            let error = Error::parse(&text);
            assert_eq!(
                (error.code, error.detail),
                (7, text),
                "the wrong one is left out"
            );
        }
        assert_eq!(Error::parse(r#"{"code":-2147483648}"#).code, i32::MIN);
        assert_eq!(Error::parse(r#"{"code":-0}"#), Error::default());
    }

    #[test]
    fn null_changes_nothing_and_the_last_of_two_counts() {
        let text = r#"{"id":"a","id":null,"code":404,"code":500,"detail":"a","detail":"b"}"#;
        let error = Error::parse(text);
        assert_eq!(
            (error.id.as_str(), error.code, error.detail.as_str()),
            ("a", 500, "b")
        );
    }

    #[test]
    fn names_match_in_any_case_and_through_escapes() {
        let error =
            Error::parse(r#"{"\u0049D":"a","cOdE":1,"DETAIL":"d","ſtatuſ":"s","ids":"no"}"#);
        assert_eq!(
            error,
            Error {
                id: "a".into(),
                code: 1,
                detail: "d".into(),
                status: "s".into()
            }
        );
    }

    #[test]
    fn unknown_members_may_be_anything_and_deep() {
        let deep = format!("{}{}", "[".repeat(9_999), "]".repeat(9_999));
        assert_eq!(Error::parse(&format!(r#"{{"x":{deep},"code":5}}"#)).code, 5);
        let deeper = format!(r#"{{"x":[{deep}],"code":5}}"#);
        assert_eq!(Error::parse(&deeper), only_detail(&deeper));
    }

    proptest! {
        #[test]
        fn an_error_is_read_back_from_its_json(id: String, code: i32, detail: String, status: String) {
            let error = Error { id, code, detail, status };
            prop_assert_eq!(Error::parse(&error.to_json()), error);
        }

        #[test]
        fn members_are_read_one_by_one(members in prop::collection::vec((0..5_usize, 0..6_usize), 0..8)) {
            let names = ["id", "code", "DETAIL", "Status", "other"];
            let values = ["null", "\"t\"", "7", "7.5", "[7]", "{\"id\":\"x\"}"];
            let text: Vec<_> = members
                .iter()
                .map(|&(name, value)| format!("\"{}\": {}", names[name], values[value]))
                .collect();
            let text = format!("{{{}}}", text.join(","));

            let mut expected = Error::default();
            let mut is_whole = true;
            for (name, value) in members {
                match (name, value) {
                    (4, _) | (_, 0) => {}
                    (0, 1) => expected.id = "t".into(),
                    (1, 2) => expected.code = 7,
                    (2, 1) => expected.detail = "t".into(),
                    (3, 1) => expected.status = "t".into(),
                    _ => is_whole = false,
                }
            }
            if !is_whole {
                expected.detail.clone_from(&text);
            }
            prop_assert_eq!(Error::parse(&text), expected);
        }

        #[test]
        fn any_text_gives_an_error(text: String, json in "\\{[{}\\[\\]:,\"\\\\ idcoeatlsu0-9.\\-]{0,30}\\}?") {
            for text in [text, json] {
                let error = Error::parse(&text);
                if serde_json::from_str::<IgnoredAny>(&text).is_err() {
                    prop_assert_eq!(error, only_detail(&text));
                }
            }
        }
    }
}
