//! What can go wrong with a registry.

use std::error::Error as StdError;
use std::sync::Arc;

use crate::{InvalidAddress, InvalidServiceName, ServiceName};

/// Why a registry did not do what it was asked.
///
/// An error says nothing about what exists: a registry that knows of no node answers with an empty
/// [`Change::Reset`](crate::Change::Reset), never with an error.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The registry gave no answer, or one that cannot be read. Asking again later may help.
    #[error("registry {registry} is unavailable; check that it runs and can be reached")]
    Unavailable {
        /// [`Registry::name`](crate::Registry::name).
        registry: String,
        /// What happened.
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// A watch came to its end, though a watch has none. Watch again.
    #[error("registry {registry} ended the watch of {service}; watch again")]
    WatchEnded {
        /// [`Registry::name`](crate::Registry::name).
        registry: String,
        /// What was watched.
        service: ServiceName,
    },
    /// The service cannot be registered or deregistered as it is written.
    #[error("invalid service: {reason}")]
    InvalidService {
        /// What is wrong, and what to change.
        reason: String,
    },
    /// The registry cannot be written to.
    #[error("registry {registry} is read-only; register with one that can be written to")]
    ReadOnly {
        /// [`Registry::name`](crate::Registry::name).
        registry: String,
    },
}

impl Error {
    /// [`Error::Unavailable`] with its cause, which may be a plain text.
    pub fn unavailable(
        registry: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::Unavailable {
            registry: registry.into(),
            source: source.into().into(),
        }
    }

    /// [`Error::InvalidService`] with what is wrong and what to change.
    pub fn invalid_service(reason: impl Into<String>) -> Self {
        Self::InvalidService {
            reason: reason.into(),
        }
    }

    /// [`Error::ReadOnly`] for the registry of that name.
    pub fn read_only(registry: impl Into<String>) -> Self {
        Self::ReadOnly {
            registry: registry.into(),
        }
    }
}

impl From<InvalidServiceName> for Error {
    fn from(error: InvalidServiceName) -> Self {
        Self::invalid_service(error.to_string())
    }
}

impl From<InvalidAddress> for Error {
    fn from(error: InvalidAddress) -> Self {
        Self::invalid_service(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_of_unavailability_stays_in_the_chain_of_a_clone() {
        let error = Error::unavailable("etcd", "connection refused").clone();
        assert_eq!(
            error.to_string(),
            "registry etcd is unavailable; check that it runs and can be reached"
        );
        assert_eq!(error.source().unwrap().to_string(), "connection refused");
    }

    #[test]
    fn what_is_wrong_with_a_name_is_passed_on() {
        let error = Error::from(ServiceName::new("").unwrap_err());
        assert!(
            error
                .to_string()
                .starts_with("invalid service: service name is empty; give it")
        );
    }
}
