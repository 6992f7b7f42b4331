//! Which services and nodes are in question at all.
//!
//! go-micro v2's filters (`selector/filter.go`), as values: they can be printed, compared, and told
//! apart, so that a selector works out what a filter leaves once per change of the registry and not
//! once per call.
//!
//! | filter | keeps |
//! |---|---|
//! | [`Filter::endpoint`] | services that have an endpoint of exactly this name, with or without nodes |
//! | [`Filter::version`] | services of exactly this version, with or without nodes |
//! | [`Filter::label`] | nodes whose metadata has this value for this key; services with no such node go |
//! | [`Filter::custom`] | nodes your closure says yes to; services with no such node go |
//!
//! When no service is left, `select` fails with
//! [`SelectError::NoneAvailable`](crate::SelectError::NoneAvailable). When services are left but
//! none has a node, `select` succeeds and the picker fails so, once per attempt.
//!
//! # A node without metadata
//!
//! In go-micro a label that a node does not have equals the empty text, but a node whose metadata
//! is nil never matches. A Go map may be nil or empty; ours is empty in both cases, and counts as
//! nil: a node without any metadata never matches a label. (What differs: a node announced with
//! `"metadata": {}` and a label filter for the empty text.)
//!
//! # Example
//!
//! ```
//! use tower_micro_registry::{Node, Service};
//! use tower_micro_selector::Filter;
//!
//! let services = [
//!     Service::new("greeter", "1.0").with_node(Node::new("a", "10.0.0.1:1")),
//!     Service::new("greeter", "2.0").with_node(Node::new("b", "10.0.0.2:1")),
//! ];
//! let left = Filter::apply(&[Filter::version("2.0")], &services);
//! assert_eq!(left, services[1..]);
//! ```

use std::fmt;
use std::sync::Arc;

use tower_micro_registry::{Endpoint, Metadata, Node, Service};

/// A condition on services or nodes. See the [module docs](self) for an example.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter(Kind);

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Endpoint(String),
    Label(String, String),
    Version(String),
    Custom(Custom),
}

impl Filter {
    /// Keeps the services that have an endpoint called `name` (go-micro's `FilterEndpoint`), such
    /// as `Greeter.Hello`.
    #[must_use]
    pub fn endpoint(name: impl Into<String>) -> Self {
        Self(Kind::Endpoint(name.into()))
    }

    /// Keeps the nodes whose metadata says `value` for `key` (go-micro's `FilterLabel`).
    #[must_use]
    pub fn label(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self(Kind::Label(key.into(), value.into()))
    }

    /// Keeps the services of `version` (go-micro's `FilterVersion`), compared as text.
    #[must_use]
    pub fn version(version: impl Into<String>) -> Self {
        Self(Kind::Version(version.into()))
    }

    /// Keeps the nodes that `keeps` says yes to. `name` is for printing. Asked of every node in
    /// every call, since nobody can tell whether it would answer the same again; equal only to its
    /// own clones.
    #[must_use]
    pub fn custom<F>(name: impl Into<String>, keeps: F) -> Self
    where
        F: Fn(ServiceView<'_>, &Node) -> bool + Send + Sync + 'static,
    {
        Self(Kind::Custom(Custom {
            name: name.into(),
            keeps: Arc::new(keeps),
        }))
    }

    /// What `filters` leave of `services`.
    #[must_use]
    pub fn apply(filters: &[Self], services: &[Service]) -> Vec<Service> {
        let left = |service: &Service| {
            let nodes = left_of(service, &service.nodes, filters, |node| node)?;
            Some(Service {
                nodes,
                ..service.clone()
            })
        };
        services.iter().filter_map(left).collect()
    }

    /// Whether it answers the same for the same services.
    pub(crate) fn is_pure(&self) -> bool {
        !matches!(self.0, Kind::Custom(_))
    }

    /// Whether it is about nodes, and drops a service that has none left.
    fn is_about_nodes(&self) -> bool {
        matches!(self.0, Kind::Label(..) | Kind::Custom(_))
    }

    fn keeps_service(&self, service: ServiceView<'_>) -> bool {
        match &self.0 {
            Kind::Endpoint(name) => service
                .endpoints()
                .iter()
                .any(|endpoint| endpoint.name == *name),
            Kind::Version(version) => service.version() == version,
            Kind::Label(..) | Kind::Custom(_) => true,
        }
    }

    fn keeps_node(&self, service: ServiceView<'_>, node: &Node) -> bool {
        match &self.0 {
            Kind::Label(key, value) => has_label(&node.metadata, key, value),
            Kind::Custom(custom) => (custom.keeps)(service, node),
            Kind::Endpoint(_) | Kind::Version(_) => true,
        }
    }
}

fn has_label(metadata: &Metadata, key: &str, value: &str) -> bool {
    !metadata.is_empty() && metadata.get(key).map_or("", String::as_str) == value
}

/// The nodes that `filters` leave of one service; `None` when the service goes altogether.
///
/// Each filter looks at one service at a time, so that filtering by service is the same as
/// filtering in order.
pub(crate) fn left_of<N: Clone>(
    service: &Service,
    nodes: &[N],
    filters: &[Filter],
    as_node: impl Fn(&N) -> &Node,
) -> Option<Vec<N>> {
    let view = ServiceView(service);
    if !filters.iter().all(|filter| filter.keeps_service(view)) {
        return None;
    }
    let keeps = |node: &&N| {
        filters
            .iter()
            .all(|filter| filter.keeps_node(view, as_node(node)))
    };
    let left: Vec<N> = nodes.iter().filter(keeps).cloned().collect();
    let needs_nodes = filters.iter().any(Filter::is_about_nodes);
    (!needs_nodes || !left.is_empty()).then_some(left)
}

/// What a [custom filter](Filter::custom) sees of the service a node belongs to: all but its nodes.
#[derive(Clone, Copy, Debug)]
pub struct ServiceView<'a>(&'a Service);

impl<'a> ServiceView<'a> {
    /// The name of the service.
    #[must_use]
    pub fn name(self) -> &'a str {
        &self.0.name
    }

    /// The version of the service.
    #[must_use]
    pub fn version(self) -> &'a str {
        &self.0.version
    }

    /// The metadata of the service, not of the node.
    #[must_use]
    pub fn metadata(self) -> &'a Metadata {
        &self.0.metadata
    }

    /// The endpoints of the service.
    #[must_use]
    pub fn endpoints(self) -> &'a [Endpoint] {
        &self.0.endpoints
    }
}

type Keeps = dyn Fn(ServiceView<'_>, &Node) -> bool + Send + Sync;

#[derive(Clone)]
struct Custom {
    name: String,
    keeps: Arc<Keeps>,
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.keeps, &other.keeps)
    }
}

#[cfg(test)]
mod tests;
