//! What a registry stores: go-micro's `Service`, `Node`, `Endpoint` and `Value` (`registry/registry.go`).
//!
//! The JSON is go-micro v2's: its field order, nothing omitted, an empty metadata map and an absent value as
//! `null`. Reading goes by key, in any order (v4.10.2 and later write another one), takes `null` for every
//! field, fills in what is missing and passes over what is unknown.
//!
//! `Debug` prints the keys of metadata and not the values, which may be secret, and addresses [`without_user`].

mod address;
mod endpoint;
mod json;
mod node;
mod service;

use std::{collections::BTreeMap, fmt};

pub use address::{InvalidAddress, without_user};
pub use endpoint::{Endpoint, Value};
pub use node::Node;
pub use service::Service;

/// What a service, a node or an endpoint says of itself, such as `"protocol": "grpc"`.
pub type Metadata = BTreeMap<String, String>;

/// Prints what is said, but not the words: a registry may hold a password.
struct Keys<'a>(&'a Metadata);

impl fmt::Debug for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests;
