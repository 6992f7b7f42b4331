//! Several errors as one.

use std::fmt;

use super::Error;

/// Several errors as one (go-micro v4 `errors.MultiError`).
///
/// `Display` is its JSON: `{"errors":[…]}`, or `{}` when there are none. Its text has no code of its own, so that
/// [`Error::parse`] of it has code 0.
///
/// ```
/// use tower_micro_call::micro::{Error, MultiError};
///
/// let both = MultiError { errors: vec![Error::new("a", "x", 0), Error::default()] };
/// assert_eq!(both.to_json(), r#"{"errors":[{"id":"a","detail":"x"},{}]}"#);
/// assert_eq!(MultiError::default().to_json(), "{}");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MultiError {
    /// The errors, in the order in which they were added.
    pub errors: Vec<Error>,
}

impl MultiError {
    /// The JSON of all errors, byte for byte as Go writes it.
    pub fn to_json(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for MultiError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, others)) = self.errors.split_first() else {
            return out.write_str("{}");
        };
        write!(out, r#"{{"errors":[{first}"#)?;
        for error in others {
            write!(out, ",{error}")?;
        }
        out.write_str("]}")
    }
}

impl std::error::Error for MultiError {}
