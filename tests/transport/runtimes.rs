//! Clients that outlive a runtime.

use tokio::runtime::{Builder, Runtime};
use tower_micro::{Client, Connect, Static, connect};
use tower_micro_testkit::Greeter;

use crate::support::{builder, call, start};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Calls of one client from two runtimes, of which the first ends, to a server in a third.
fn outlives_a_runtime(connect: impl Connect) {
    let servers = Builder::new_multi_thread().enable_all().build().unwrap();
    let server = servers.block_on(start("n0", Greeter::new("n0").service()));
    let nodes = [server.as_ref().unwrap().address().to_string()];
    let registry = Static::addresses("greeter", nodes).unwrap();
    let client: Client = builder()
        .registry(registry)
        .connect(connect)
        .build()
        .unwrap();
    for runtime in [runtime(), runtime(), runtime()] {
        for _ in 0..3 {
            runtime.block_on(call(&client)).unwrap();
        }
    }
}

#[test]
fn a_client_outlives_the_runtime_of_its_first_call() {
    outlives_a_runtime(connect::H2::new());
}

#[test]
fn so_does_one_with_tonics_channels() {
    outlives_a_runtime(connect::Tonic::new());
}
