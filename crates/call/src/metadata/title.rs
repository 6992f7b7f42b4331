//! Title case, as Go's `strings.Title` has it.

/// `key` with the first letter of every word in upper case, the rest as it is: `x-request-id` is `X-Request-Id`, and
/// `X-Request-ID` stays (Go `strings.Title`, by which go-micro v2 `metadata.FromContext` writes its keys).
///
/// A word ends at whatever is not a letter, a digit or `_`. A letter whose upper case is not one letter (`ß`) stays;
/// beyond ASCII, where no key can be a header, the few letters with a title case of their own (`ǆ`) get their upper case.
///
/// ```
/// use tower_micro_call::metadata::title_case;
///
/// assert_eq!(title_case("micro-from-service"), "Micro-From-Service");
/// assert_eq!(title_case("foo_bar"), "Foo_bar");
/// ```
pub fn title_case(key: &str) -> String {
    let mut before = ' ';
    key.chars()
        .map(|letter| match std::mem::replace(&mut before, letter) {
            end if ends_word(end) => upper_case(letter),
            _ => letter,
        })
        .collect()
}

fn ends_word(character: char) -> bool {
    if character.is_ascii() {
        return !character.is_ascii_alphanumeric() && character != '_';
    }
    character.is_whitespace()
}

fn upper_case(letter: char) -> char {
    let mut upper = letter.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(single), None) => single,
        _ => letter,
    }
}
