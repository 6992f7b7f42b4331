//! The servers, and the troubles they get into.

use std::time::Duration;

use tonic::Status;
use tower_micro::{BoxError, Memory, RegisterOptions, Registry, Service};
use tower_micro_testkit::{Answer, Greeter, TestServer};

use crate::screen;

/// How long a node takes to answer.
const WORK: Duration = Duration::from_millis(60);

/// Nodes a, b and c of the service `greeter`.
pub(crate) struct Cluster {
    registry: Memory,
    b: TestServer,
    c: Greeter,
    _others: [TestServer; 2],
}

impl Cluster {
    /// Starts the three, each on a free port of 127.0.0.1, and registers them.
    pub(crate) async fn start(registry: Memory) -> Result<Self, BoxError> {
        let (a, _) = start("a", &registry).await?;
        let (b, _) = start("b", &registry).await?;
        let (c, greeter) = start("c", &registry).await?;
        Ok(Self {
            registry,
            b,
            c: greeter,
            _others: [a, c],
        })
    }

    /// What happens just before call `number` begins.
    pub(crate) async fn before_call(&self, number: usize) {
        match number {
            130 => {
                screen::news("node b is killed, as kill -9 would; the registry still lists it");
                self.b.kill();
            }
            200 => {
                screen::news("the registry gives up on node b");
                let gone = self.registry.deregister(&listed(&self.b)).await;
                gone.expect("it was registered with the same values");
            }
            330 => {
                screen::news("node c answers UNAVAILABLE");
                self.c.answer(Answer::Fail(Status::unavailable("busy")));
            }
            390 => {
                screen::news("node c is well again");
                self.c.answer(Answer::After(WORK));
            }
            _ => {}
        }
    }
}

async fn start(id: &str, registry: &Memory) -> Result<(TestServer, Greeter), BoxError> {
    let greeter = Greeter::new(id);
    greeter.answer(Answer::After(WORK));
    let server = TestServer::start(id, greeter.service()).await?;
    let options = RegisterOptions::default();
    registry.register(&listed(&server), options).await?;
    Ok((server, greeter))
}

fn listed(server: &TestServer) -> Service {
    Service::new("greeter", "latest").with_node(server.node())
}
