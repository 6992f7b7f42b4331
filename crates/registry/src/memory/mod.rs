//! A registry inside the process, for tests and for services that live together.
//!
//! Clones share one set. Each watch sees every change in the order in which it was made; one that falls more
//! than 256 changes behind gets a fresh [`Change::Reset`](crate::Change::Reset) in their place, so that memory
//! stays bounded. Registering what is there already is no change.
//!
//! A node with a time to live vanishes when it is not registered again in time. No task runs for that: a
//! watch wakes by itself when the next node is due, and everything else looks at the clock first. go-micro's
//! `registry/memory/memory.go` looks once a second.
//!
//! # Errors
//! [`Error::InvalidService`] for an invalid name, a service without nodes, a node without an id or with an
//! address that is not `host:port`.
//!
//! # Example
//! ```
//! use futures_util::StreamExt;
//! use tower_micro_registry::{Change, Memory, Node, RegisterOptions, Registry, Service, ServiceName};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Memory::new();
//! let mut changes = registry.watch(&ServiceName::new("greeter")?).await?;
//! assert_eq!(changes.next().await.unwrap()?, Change::Reset(vec![]));
//!
//! let greeter = Service::new("greeter", "latest").with_node(Node::new("greeter-1", "127.0.0.1:5001"));
//! registry.register(&greeter, RegisterOptions::default()).await?;
//! assert_eq!(changes.next().await.unwrap()?, Change::Put(greeter));
//! # Ok(())
//! # }
//! ```
//!
//! # Not here
//! Other processes: those need a registry on the network.

mod leases;
mod store;
mod topic;
mod watcher;

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

use self::store::Store;
use self::watcher::Watcher;
use crate::{BoxFuture, Changes, Error, Node, RegisterOptions, Registry, Service, ServiceName};

/// A registry inside the process. See the [module docs](self) for an example.
#[derive(Clone, Default)]
pub struct Memory {
    store: Arc<Store>,
}

impl Memory {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

impl Registry for Memory {
    fn watch<'a>(&'a self, service: &'a ServiceName) -> BoxFuture<'a, Result<Changes, Error>> {
        Box::pin(
            async move { Ok(Watcher::new(self.store.clone(), service.clone()).into_changes()) },
        )
    }

    fn register<'a>(
        &'a self,
        service: &'a Service,
        options: RegisterOptions,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let name = valid_name(service)?;
            service.nodes.iter().try_for_each(check_node)?;
            self.store.visit(&name, |topic| {
                topic.register(service.clone(), lease(options));
            });
            Ok(())
        })
    }

    fn deregister<'a>(&'a self, service: &'a Service) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let name = valid_name(service)?;
            self.store.visit(&name, |topic| topic.deregister(service));
            Ok(())
        })
    }

    fn services<'a>(&'a self) -> BoxFuture<'a, Result<Vec<ServiceName>, Error>> {
        Box::pin(async move { Ok(self.store.names()) })
    }

    fn name(&self) -> &str {
        "memory"
    }
}

fn valid_name(service: &Service) -> Result<ServiceName, Error> {
    let name = ServiceName::new(&service.name)?;
    if service.nodes.is_empty() {
        return Err(Error::invalid_service(format!(
            "{name} has no nodes; add at least one"
        )));
    }
    Ok(name)
}

fn check_node(node: &Node) -> Result<(), Error> {
    if node.id.is_empty() {
        let reason = format!(
            "the node at {:?} has no id; give it one that no other node has",
            node.address
        );
        return Err(Error::invalid_service(reason));
    }
    Ok(node.check_address()?)
}

// An end too far away to be told in an `Instant` is no end.
fn lease(options: RegisterOptions) -> Option<Instant> {
    let ttl = options.ttl.filter(|ttl| !ttl.is_zero())?;
    Instant::now().checked_add(ttl)
}

#[cfg(test)]
mod tests;
