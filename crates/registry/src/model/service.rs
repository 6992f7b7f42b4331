//! One version of a service.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Endpoint, Keys, Metadata, Node, json};

/// One version of a service, and the nodes that run it.
///
/// ```
/// use tower_micro_registry::{Node, Service};
///
/// let greeter = Service::new("greeter", "latest")
///     .with_node(Node::new("greeter-1", "10.0.0.7:8080").with_metadata("protocol", "grpc"));
/// assert_eq!(greeter.nodes.len(), 1);
/// ```
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    /// The name it is found by; see [`ServiceName`](crate::ServiceName).
    #[serde(deserialize_with = "json::text")]
    pub name: String,
    /// Which version these nodes run. go-micro's default is `latest`.
    #[serde(deserialize_with = "json::text")]
    pub version: String,
    /// What this version says of itself. mDNS and consul do not keep it.
    #[serde(with = "json::map")]
    pub metadata: Metadata,
    /// The methods it offers, and in go-micro its subscribers too.
    #[serde(deserialize_with = "json::list")]
    pub endpoints: Vec<Endpoint>,
    /// Where it runs. Ids are unique within a version.
    #[serde(deserialize_with = "json::list")]
    pub nodes: Vec<Node>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("metadata", &Keys(&self.metadata))
            .field("endpoints", &self.endpoints)
            .field("nodes", &self.nodes)
            .finish()
    }
}

impl Service {
    /// A version of `name` without nodes yet.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            ..Self::default()
        }
    }

    /// Adds a node behind those that are there.
    #[must_use]
    pub fn with_node(mut self, node: Node) -> Self {
        self.nodes.push(node);
        self
    }

    /// Adds an endpoint behind those that are there.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoints.push(endpoint);
        self
    }

    /// Sets one metadata entry of this version.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    pub(crate) fn is_same_version(&self, other: &Self) -> bool {
        self.version == other.version && self.name == other.name
    }
}
