//! What tests and examples of tower-micro stand on: real tonic servers on a free port, nodes that answer by script, and a probe that
//! holds a layer to tower's readiness contract.
#![forbid(unsafe_code)]

mod chat;
mod go_micro;
mod greeter;
pub mod h2_peer;
mod interop;
mod mortal;
mod probe;
mod scripted;
mod server;
pub mod tls;

pub use chat::{Chat, Manner, Seen, Speech};
pub use go_micro::{Echo, GoMicroGreeter};
pub use greeter::{Answer, Greeter};
pub use interop::{INTEROP_DESCRIPTORS, Interop, InteropSeen};
pub use probe::{Probe, ProbeError};
pub use scripted::{Scripted, ScriptedNode};
pub use server::{TestServer, closed_port};

/// Generated stubs.
#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    unused_qualifications,
    unreachable_pub
)]
pub mod proto {
    /// Package `greeter`.
    pub mod greeter {
        tonic::include_proto!("greeter");
    }
    /// Package `go.micro.srv.greeter`, the service go-micro's traces were recorded with.
    pub mod go_micro {
        tonic::include_proto!("go.micro.srv.greeter");
    }
    /// Package `oracle.echo`, a plain gRPC server in those traces.
    pub mod echo {
        tonic::include_proto!("oracle.echo");
    }
    /// Package `chat`, streams of all three kinds.
    pub mod chat {
        tonic::include_proto!("chat");

        /// The service's descriptor set, as a client can be given it.
        pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("chat");
    }
    /// Package `grpc.testing`, the services of gRPC's interop tests.
    pub mod interop {
        tonic::include_proto!("grpc.testing");
    }
}
