//! Why metadata was refused.

use thiserror::Error;

/// Metadata that cannot become a header. Names the key, never the value: that may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidMetadata {
    /// The key has a character that a gRPC header name cannot have, or none at all.
    #[error(
        "metadata key {key:?} is not a header name: make it of letters, digits, `-`, `_` and `.`"
    )]
    Name {
        /// The key as it was given.
        key: String,
    },
    /// The key belongs to gRPC or HTTP.
    #[error(
        "metadata key {key:?} belongs to gRPC or HTTP: choose another, and leave that header to the transport"
    )]
    Reserved {
        /// The key as it was given.
        key: String,
    },
    /// The value has a character that a header cannot carry, such as a line break.
    #[error(
        "value of metadata key {key:?} is not printable ASCII: encode it, or let the key end in `-bin`"
    )]
    Value {
        /// The key as it was given.
        key: String,
    },
}

impl InvalidMetadata {
    /// The key that was refused, as it was given.
    pub fn key(&self) -> &str {
        match self {
            Self::Name { key } | Self::Reserved { key } | Self::Value { key } => key,
        }
    }
}
