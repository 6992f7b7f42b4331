//! The name under which a service is found.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use smol_str::SmolStr;

/// A service name that every registry can store: 1 to 253 bytes of `A-Z a-z 0-9 . _ -`.
///
/// Names become etcd keys, DNS names and NATS subjects. go-micro rewrites what does not fit (`/` becomes `-`
/// in `registry/etcd/etcd.go`), so that two services can meet under one key; here such a name is refused.
/// 253 bytes is the longest DNS name (RFC 1035 §2.3.4, as text). A clone of a name of at most 23 bytes copies it, and touches nothing
/// that other threads touch; of a longer one it costs one reference count.
///
/// ```
/// use tower_micro_registry::ServiceName;
///
/// let name = ServiceName::new("go.micro.srv.greeter")?;
/// assert_eq!(name.as_str(), "go.micro.srv.greeter");
/// assert!(ServiceName::new("greeter/v2").is_err());
/// # Ok::<(), tower_micro_registry::InvalidServiceName>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(SmolStr);

const LONGEST: usize = 253;

impl ServiceName {
    /// Checks `name` and keeps it.
    ///
    /// # Errors
    /// [`InvalidServiceName`] says what is wrong with the name, where, and what to change.
    pub fn new(name: impl AsRef<str>) -> Result<Self, InvalidServiceName> {
        let name = name.as_ref();
        check(name)?;
        Ok(Self(SmolStr::new(name)))
    }

    /// The name as text.
    #[inline]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check(name: &str) -> Result<(), InvalidServiceName> {
    if name.is_empty() {
        return Err(InvalidServiceName::Empty);
    }
    if name.len() > LONGEST {
        return Err(InvalidServiceName::TooLong { length: name.len() });
    }
    match name.chars().position(|character| !is_allowed(character)) {
        Some(place) => Err(InvalidServiceName::character(name, place)),
        None => Ok(()),
    }
}

fn is_allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-')
}

impl fmt::Debug for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl AsRef<str> for ServiceName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for ServiceName {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl FromStr for ServiceName {
    type Err = InvalidServiceName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

impl TryFrom<&str> for ServiceName {
    type Error = InvalidServiceName;

    fn try_from(name: &str) -> Result<Self, Self::Error> {
        Self::new(name)
    }
}

impl TryFrom<String> for ServiceName {
    type Error = InvalidServiceName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::new(name)
    }
}

/// Why a text is no [`ServiceName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidServiceName {
    /// There is no text.
    #[error("service name is empty; give it at least one character of A-Z a-z 0-9 . _ -")]
    Empty,
    /// The text has more than 253 bytes.
    #[error("service name has {length} bytes; shorten it to at most 253")]
    TooLong {
        /// How many bytes it has.
        length: usize,
    },
    /// A character that not every registry can store.
    #[error(
        "service name {name:?} has {character:?} at character {position}; use only A-Z a-z 0-9 . _ -"
    )]
    Character {
        /// The whole text.
        name: String,
        /// The first character that is not allowed.
        character: char,
        /// Its place in characters (not bytes), counted from 1.
        position: usize,
    },
}

impl InvalidServiceName {
    fn character(name: &str, place: usize) -> Self {
        let character = name.chars().nth(place).unwrap_or_default();
        Self::Character {
            name: name.to_owned(),
            character,
            position: place + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_name_is_told_what_to_use() {
        let error = ServiceName::new("").unwrap_err();
        assert_eq!(
            error.to_string(),
            "service name is empty; give it at least one character of A-Z a-z 0-9 . _ -"
        );
    }

    #[test]
    fn the_first_wrong_character_is_named_with_its_place() {
        let error = ServiceName::new("gräter/v2").unwrap_err();
        assert_eq!(
            error.to_string(),
            "service name \"gräter/v2\" has 'ä' at character 3; use only A-Z a-z 0-9 . _ -"
        );
    }

    #[test]
    fn a_line_break_in_a_name_cannot_forge_a_log_line() {
        let text = ServiceName::new("a\r\nb").unwrap_err().to_string();
        assert!(!text.contains(['\r', '\n']), "{text:?}");
    }

    #[test]
    fn the_longest_name_has_253_bytes() {
        assert!(ServiceName::new("x".repeat(253)).is_ok());
        assert_eq!(
            ServiceName::new("x".repeat(254)),
            Err(InvalidServiceName::TooLong { length: 254 })
        );
    }

    #[test]
    fn a_map_of_names_is_asked_with_plain_text_whatever_their_length() {
        for length in [1, 22, 23, 24, 253] {
            let text = "x".repeat(length);
            let name = ServiceName::new(&text).unwrap();
            let map = HashMap::from([(name.clone(), 1)]);
            assert_eq!(map.get(text.as_str()), Some(&1));
            assert_eq!(map.get(&name), Some(&1));
        }
    }

    proptest! {
        #[test]
        fn what_is_made_of_allowed_characters_is_kept_as_it_is(text in "[A-Za-z0-9._-]{1,253}") {
            let name = ServiceName::try_from(text.clone()).unwrap();
            prop_assert_eq!(name.as_str(), &text);
            prop_assert_eq!(name.to_string(), text);
        }

        #[test]
        fn names_are_in_the_order_of_their_texts(one in "[a-c]{1,30}", other in "[a-c]{1,30}") {
            let name = |text: &str| ServiceName::new(text).unwrap();
            prop_assert_eq!(name(&one).cmp(&name(&other)), one.cmp(&other));
            prop_assert_eq!(name(&one) == name(&other), one == other);
        }

        #[test]
        fn one_foreign_character_anywhere_is_found(
            before in "[a-z.]{0,9}", foreign in "[^A-Za-z0-9._-]", after in ".{0,9}",
        ) {
            let error = ServiceName::new(format!("{before}{foreign}{after}")).unwrap_err();
            let InvalidServiceName::Character { character, position, .. } = error else {
                return Err(TestCaseError::fail(error.to_string()));
            };
            prop_assert_eq!(character.to_string(), foreign);
            prop_assert_eq!(position, before.len() + 1);
        }
    }
}
