use std::error::Error;
use std::fmt;
use std::sync::Arc;

use tower_micro_registry as registry;

/// Why there is no node for a call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SelectError {
    /// The registry answered, and does not know the service. go-micro v2's `selector.ErrNotFound`,
    /// with its text.
    NotFound,
    /// The service exists, but the filters left nothing of it, or it has no nodes. go-micro v2's
    /// `selector.ErrNoneAvailable`, with its text.
    NoneAvailable,
    /// The registry could not be asked, and nothing is known of the service from before. Its own
    /// text.
    Registry(registry::Error),
    /// What a selector of your own failed with. Its own text.
    Other(Arc<dyn Error + Send + Sync>),
}

impl SelectError {
    /// The error of a selector of your own: anything that is an error, or a text.
    pub fn other(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Other(error.into().into())
    }
}

impl fmt::Display for SelectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("not found"),
            Self::NoneAvailable => f.write_str("none available"),
            Self::Registry(error) => error.fmt(f),
            Self::Other(error) => error.fmt(f),
        }
    }
}

// By hand: `Arc<dyn Error>` is an error too, and a derived `source` would hand out the `Arc`, in
// which nobody finds the type they look for.
impl Error for SelectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotFound | Self::NoneAvailable => None,
            Self::Registry(error) => Some(error),
            Self::Other(error) => Some(&**error),
        }
    }
}

impl From<registry::Error> for SelectError {
    fn from(error: registry::Error) -> Self {
        Self::Registry(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the moon is full")]
    struct Moon;

    #[test]
    fn the_texts_are_go_micros() {
        assert_eq!(SelectError::NotFound.to_string(), "not found");
        assert_eq!(SelectError::NoneAvailable.to_string(), "none available");
        assert_eq!(SelectError::other("verbatim").to_string(), "verbatim");
    }

    #[test]
    fn the_source_is_the_error_itself() {
        let error = SelectError::other(Moon);
        assert_eq!(error.to_string(), "the moon is full");
        assert!(error.source().is_some_and(<dyn Error>::is::<Moon>));
    }
}
