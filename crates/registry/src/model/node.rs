//! One process of a service.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{InvalidAddress, Keys, Metadata, address, json, without_user};

/// One process of a service: where it listens and what it says of itself.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Unique within a version of a service. go-micro uses `<service name>-<uuid>`.
    #[serde(deserialize_with = "json::text")]
    pub id: String,
    /// `host:port`, an IPv6 host in brackets; see [`check_address`](Self::check_address).
    #[serde(deserialize_with = "json::text")]
    pub address: String,
    /// What the node says of itself. A go-micro gRPC server sets `protocol`, `transport`, `server`, `broker`
    /// and `registry` (`server/grpc/grpc.go`).
    #[serde(with = "json::map")]
    pub metadata: Metadata,
}

/// Its id and its address; the address alone where there is no other id.
///
/// ```
/// use tower_micro_registry::Node;
///
/// assert_eq!(Node::new("greeter-1", "10.0.0.1:80").to_string(), "greeter-1 at 10.0.0.1:80");
/// assert_eq!(Node::new("", "10.0.0.1:80").to_string(), "10.0.0.1:80");
/// ```
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = without_user(&self.address);
        if self.id.is_empty() || self.id == self.address {
            return f.write_str(&address);
        }
        write!(f, "{} at {address}", self.id)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("id", &self.id)
            .field("address", &without_user(&self.address))
            .field("metadata", &Keys(&self.metadata))
            .finish()
    }
}

impl Node {
    /// A node without metadata.
    pub fn new(id: impl Into<String>, address: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            address: address.into(),
            metadata: Metadata::new(),
        }
    }

    /// Sets one metadata entry.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Whether the address can be dialled: `host:port` or `[v6]:port`, with a port of 1 to 65535.
    ///
    /// A registry on the network may hold anything. Who reads one calls this, leaves out the nodes that fail,
    /// and keeps the others.
    ///
    /// # Errors
    /// [`InvalidAddress`] names the node and says what the address lacks.
    ///
    /// ```
    /// use tower_micro_registry::Node;
    ///
    /// assert!(Node::new("a", "[::1]:8080").check_address().is_ok());
    /// let error = Node::new("a", "10.0.0.7").check_address().unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     r#"node "a" has the address "10.0.0.7", which has no port; write host:port, as in 10.0.0.7:8080"#,
    /// );
    /// ```
    pub fn check_address(&self) -> Result<(), InvalidAddress> {
        address::check(&self.address).map_err(|flaw| InvalidAddress::new(self, flaw))
    }
}
