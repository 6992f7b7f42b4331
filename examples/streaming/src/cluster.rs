//! The servers.

use tower_micro::{BoxError, Memory, RegisterOptions, Registry, Service};
use tower_micro_testkit::{Chat, TestServer};

/// Nodes a, b and c of the service `chat`.
pub(crate) struct Cluster {
    servers: Vec<TestServer>,
}

impl Cluster {
    /// Starts the three, each on a free port of 127.0.0.1, and registers them.
    pub(crate) async fn start(registry: &Memory) -> Result<Self, BoxError> {
        let mut servers = Vec::new();
        for id in ["a", "b", "c"] {
            let server = TestServer::start(id, Chat::new(id).service()).await?;
            let listed = Service::new("chat", "latest").with_node(server.node());
            registry
                .register(&listed, RegisterOptions::default())
                .await?;
            servers.push(server);
        }
        Ok(Self { servers })
    }

    /// Ends a node as `kill -9` would. The registry still lists it.
    pub(crate) fn kill(&self, id: &str) {
        let killed = self.servers.iter().find(|server| server.node().id == id);
        killed
            .expect("a node that has answered is one of ours")
            .kill();
        println!("\nnode {id} is killed, as kill -9 would; the registry still lists it\n");
    }
}
