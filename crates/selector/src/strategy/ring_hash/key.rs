use super::circle::hash;

/// What calls that belong together have in common, as a number: of text and bytes their FNV-1a hash, which is the same
/// in every client.
///
/// ```
/// use tower_micro_selector::HashKey;
///
/// assert_eq!(HashKey::from("alice"), HashKey::from(String::from("alice")));
/// assert_ne!(HashKey::from("alice"), HashKey::from("bob"));
/// assert_eq!(u64::from(HashKey::from(42)), 42);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HashKey(u64);

impl From<u64> for HashKey {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl From<&[u8]> for HashKey {
    fn from(bytes: &[u8]) -> Self {
        Self(hash(bytes))
    }
}

impl From<&str> for HashKey {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl From<&String> for HashKey {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<String> for HashKey {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<HashKey> for u64 {
    fn from(key: HashKey) -> Self {
        key.0
    }
}
