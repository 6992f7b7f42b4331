//! What is found to be wrong with a client before any call is made.

use thiserror::Error as ThisError;
use tower_micro_registry::InvalidServiceName;
use tower_micro_selector::InvalidOutlier;

#[cfg(doc)]
use crate::Connect;

/// Settings that cannot work, found before any call is made. Each says what to change.
///
/// ```
/// use tower_micro_client::{BuildError, Client};
///
/// let error = Client::builder().build().unwrap_err();
/// assert_eq!(error, BuildError::NoRegistry);
/// assert!(error.to_string().contains("give the builder one with `registry`"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum BuildError {
    /// Nothing says where nodes are.
    #[error("no registry: give the builder one with `registry`, or a selector with `selector`")]
    NoRegistry,
    /// A selector judges the health of its nodes itself.
    #[error(
        "`health` and `slow_start` are for the nodes of a `registry`: give them to the selector itself (`RegistrySelector::with_health`, `with_slow_start`)"
    )]
    HealthOfSelector,
    /// A selector finds its nodes itself.
    #[error(
        "`cache` is for a `registry`: put a `Cache` in front of the one that the selector asks"
    )]
    CacheOfSelector,
    /// Two caches would keep two sets, and the times of one would bound the other.
    #[error(
        "`cache` is for a `registry` that is none: give its options to the `Cache` itself (`Cache::with_options`)"
    )]
    CacheOfCache,
    /// A call would be over before it begins.
    #[error(
        "`{option}` of {of} is zero, so that no call could succeed: leave it out or make it longer"
    )]
    ZeroTime {
        /// The client, or a method.
        of: String,
        /// The option.
        option: &'static str,
    },
    /// No call could reach a node.
    #[error(
        "`max_in_flight` of {of} is zero, so that no call could be made: leave it out or make it larger"
    )]
    NothingInFlight {
        /// The client, or a method.
        of: String,
    },
    /// No call could be sent beside the first.
    #[error(
        "`hedge` of {of} needs `retries` of at least 1: what is sent beside the first is one of them"
    )]
    HedgeWithoutRetries {
        /// The client, or a method.
        of: String,
    },
    /// No call could have a connection.
    #[error(
        "a pool needs `size`, `max_streams` and `second_at` of at least 1, and a `ttl` longer than zero, or `None`"
    )]
    EmptyPool,
    /// The time in which that share of calls is answered cannot be told.
    #[error(
        "`hedge` of {of} is after the share {given} of the calls: give one from 0.0 to 1.0, as in 0.95 for 95 %"
    )]
    Share {
        /// The client, a method, or the request.
        of: String,
        /// What was given.
        given: String,
    },
    /// Nodes cannot be judged so.
    #[error(transparent)]
    Outlier(#[from] InvalidOutlier),
    /// Connections that cannot work: what [`Connect::check`] says.
    #[error("`{option}` of the connections is {given}: {instead}")]
    Connections {
        /// The setting.
        option: &'static str,
        /// What it was set to.
        given: String,
        /// What to change.
        instead: &'static str,
    },
    /// A descriptor set that is none.
    #[error(
        "the descriptor set cannot be read: {reason}; give the bytes of a compiled `FileDescriptorSet`"
    )]
    Descriptors {
        /// What the decoder says.
        reason: String,
    },
    /// No service can be called as the proxy is.
    #[error(
        "the proxy cannot be `{given}`: {reason}; give `MICRO_PROXY` or `MICRO_NETWORK` a service's name, or an address with its port"
    )]
    Proxy {
        /// What was given.
        given: String,
        /// Why it is no name.
        reason: InvalidServiceName,
    },
    /// No connection can be made to the proxy's address.
    #[error(
        "no call could go through the proxy: {reason}; give `MICRO_PROXY` or `MICRO_NETWORK_ADDRESS` an address with its port, as in `10.0.0.1:8081`"
    )]
    ProxyAddress {
        /// What was given, [without a user](tower_micro_registry::without_user).
        given: String,
        /// What the connections say, which names it.
        reason: String,
    },
    /// A method's name that no call can have.
    #[error("`{given}` is not a method: write `package.Service/Method`, each by itself")]
    Method {
        /// What was given.
        given: String,
    },
}
