//! A registry that never changes.

use std::sync::Arc;

use futures_util::{StreamExt, future, stream};

use crate::{
    BoxFuture, Change, Changes, Error, Node, RegisterOptions, Registry, Service, ServiceName,
    change::gather,
};

/// A fixed set of services: for tests, for addresses from a command line.
///
/// Each watch gives the set once and then stays silent; it does not end. Registering and deregistering are
/// [`Error::ReadOnly`]. go-micro's nearest is the static selector (`client/selector/static/static.go`), which
/// takes the service name for the address.
///
/// ```
/// use tower_micro_registry::Static;
///
/// let registry = Static::addresses("greeter", ["127.0.0.1:5001", "[::1]:5002"])?;
/// assert!(Static::addresses("greeter", ["127.0.0.1"]).is_err()); // no port
/// # Ok::<(), tower_micro_registry::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Static {
    services: Arc<[Service]>,
}

impl Static {
    /// Knows `services`, taken as they are: as [`Change::Reset`] takes them, the last word holds.
    pub fn new(services: impl IntoIterator<Item = Service>) -> Self {
        let services = gather(services.into_iter().collect()).into();
        Self { services }
    }

    /// Knows one service, version `latest`, with a node for each address; the address is also the node's id.
    ///
    /// # Errors
    /// [`Error::InvalidService`] if the name is invalid, an address is not `host:port`, or there is none.
    pub fn addresses<A: Into<String>>(
        service: impl AsRef<str>,
        addresses: impl IntoIterator<Item = A>,
    ) -> Result<Self, Error> {
        let name = ServiceName::new(service)?;
        let nodes = addresses
            .into_iter()
            .map(node_at)
            .collect::<Result<Vec<_>, _>>()?;
        if nodes.is_empty() {
            return Err(Error::invalid_service(format!(
                "{name} has no addresses; give at least one"
            )));
        }
        Ok(Self::new([Service {
            nodes,
            ..Service::new(name.as_str(), "latest")
        }]))
    }

    fn named(&self, name: &ServiceName) -> Vec<Service> {
        self.services
            .iter()
            .filter(|service| service.name == name.as_str())
            .cloned()
            .collect()
    }

    fn names(&self) -> Vec<ServiceName> {
        let occupied = self
            .services
            .iter()
            .filter(|service| !service.nodes.is_empty());
        let mut names: Vec<_> = occupied
            .filter_map(|service| ServiceName::new(&service.name).ok())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn node_at(address: impl Into<String>) -> Result<Node, Error> {
    let address = address.into();
    let node = Node::new(address.clone(), address);
    node.check_address()?;
    Ok(node)
}

impl Registry for Static {
    fn watch<'a>(&'a self, service: &'a ServiceName) -> BoxFuture<'a, Result<Changes, Error>> {
        let set = stream::iter([Ok(Change::Reset(self.named(service)))]);
        let changes: Changes = set.chain(stream::pending()).boxed();
        Box::pin(future::ready(Ok(changes)))
    }

    fn register<'a>(
        &'a self,
        _service: &'a Service,
        _options: RegisterOptions,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(future::ready(Err(Error::read_only(self.name()))))
    }

    fn deregister<'a>(&'a self, _service: &'a Service) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(future::ready(Err(Error::read_only(self.name()))))
    }

    fn services<'a>(&'a self) -> BoxFuture<'a, Result<Vec<ServiceName>, Error>> {
        Box::pin(future::ready(Ok(self.names())))
    }

    fn name(&self) -> &str {
        "static"
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn watch(registry: &dyn Registry, service: &str) -> Changes {
        let service = ServiceName::new(service).unwrap();
        registry.watch(&service).now_or_never().unwrap().unwrap()
    }

    fn reset(changes: &mut Changes) -> Vec<Service> {
        match changes.next().now_or_never() {
            Some(Some(Ok(Change::Reset(set)))) => set,
            other => panic!("no set but {other:?}"),
        }
    }

    #[test]
    fn a_watch_gives_the_set_once_and_does_not_end() {
        let registry = Static::addresses("greeter", ["127.0.0.1:5001", "127.0.0.1:5002"]).unwrap();
        let mut changes = watch(&registry, "greeter");
        let first = Node::new("127.0.0.1:5001", "127.0.0.1:5001");
        let second = Node::new("127.0.0.1:5002", "127.0.0.1:5002");
        assert_eq!(
            reset(&mut changes),
            [Service::new("greeter", "latest")
                .with_node(first)
                .with_node(second)]
        );
        assert!(changes.next().now_or_never().is_none());
    }

    #[test]
    fn an_unknown_service_is_confirmed_to_be_empty() {
        assert_eq!(reset(&mut watch(&Static::default(), "greeter")), []);
    }

    #[test]
    fn names_with_nodes_are_listed_once() {
        let service = |name, version| Service::new(name, version).with_node(Node::new("n", "h:1"));
        let registry = Static::new([
            service("b", "1"),
            service("a", "1"),
            service("b", "2"),
            Service::new("c", "1"),
        ]);
        let names = registry.services().now_or_never().unwrap().unwrap();
        assert_eq!(
            names,
            ["a", "b"].map(|name| ServiceName::new(name).unwrap())
        );
    }

    #[test]
    fn writing_is_refused_with_its_name() {
        let registry: Arc<dyn Registry> = Arc::new(Static::default());
        let service = Service::new("greeter", "1");
        let written = [
            registry
                .register(&service, RegisterOptions::default())
                .now_or_never()
                .unwrap(),
            registry.deregister(&service).now_or_never().unwrap(),
        ];
        for result in written {
            assert!(matches!(result, Err(Error::ReadOnly { registry }) if registry == "static"));
        }
    }

    #[test]
    fn wrong_addresses_and_names_are_told_at_once() {
        for (name, addresses) in [
            ("", vec!["h:1"]),
            ("greeter", vec!["h:1", "h"]),
            ("greeter", vec![]),
        ] {
            let error = Static::addresses(name, addresses).unwrap_err();
            assert!(matches!(error, Error::InvalidService { .. }), "{error}");
        }
    }
}
