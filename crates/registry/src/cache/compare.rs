//! Whether two sets tell the same.

use std::collections::HashMap;

use crate::{Node, Service};

/// True if both have the same versions with the same nodes, in whatever order: a registry lists by key, a fold
/// has new nodes first. Each version and each id must be in a set once, as a fold leaves them.
pub(super) fn same(one: &[Service], other: &[Service]) -> bool {
    let versions: HashMap<_, _> = other
        .iter()
        .map(|service| ((&service.name, &service.version), service))
        .collect();
    let has = |service: &Service| {
        versions
            .get(&(&service.name, &service.version))
            .is_some_and(|other| alike(service, other))
    };
    one.len() == other.len() && one.iter().all(has)
}

fn alike(one: &Service, other: &Service) -> bool {
    one.metadata == other.metadata
        && one.endpoints == other.endpoints
        && same_nodes(&one.nodes, &other.nodes)
}

fn same_nodes(one: &[Node], other: &[Node]) -> bool {
    let nodes: HashMap<_, _> = other.iter().map(|node| (&node.id, node)).collect();
    one.len() == other.len() && one.iter().all(|node| nodes.get(&node.id) == Some(&node))
}

pub(super) fn nodes(set: &[Service]) -> usize {
    set.iter().map(|service| service.nodes.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeter(version: &str, ids: &[&str]) -> Service {
        let service = Service::new("greeter", version);
        ids.iter().fold(service, |service, id| {
            service.with_node(Node::new(*id, "h:1"))
        })
    }

    #[test]
    fn order_makes_no_difference() {
        let one = [greeter("1", &["a", "b"]), greeter("2", &["c"])];
        let other = [greeter("2", &["c"]), greeter("1", &["b", "a"])];
        assert!(same(&one, &other));
    }

    #[test]
    fn everything_else_does() {
        let set = [greeter("1", &["a", "b"])];
        let others = [
            vec![],
            vec![greeter("2", &["a", "b"])],
            vec![greeter("1", &["a"])],
            vec![greeter("1", &["a", "c"])],
            vec![greeter("1", &["a", "b"]).with_metadata("k", "v")],
            vec![greeter("1", &["a", "b"]).with_endpoint(crate::Endpoint::new("G.H"))],
            vec![greeter("1", &["a"]).with_node(Node::new("b", "h:2"))],
            vec![greeter("1", &["a", "b"]), greeter("2", &[])],
        ];
        for other in others {
            assert!(!same(&set, &other) && !same(&other, &set), "{other:?}");
        }
    }
}
