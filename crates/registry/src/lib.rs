#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod change;
mod error;
mod fixed;
mod model;
mod name;
mod registry;

#[cfg(feature = "cache")]
pub mod cache;
#[cfg(feature = "memory")]
pub mod memory;

pub use change::Change;
pub use error::Error;
pub use fixed::Static;
pub use model::{Endpoint, InvalidAddress, Metadata, Node, Service, Value, without_user};
pub use name::{InvalidServiceName, ServiceName};
pub use registry::{BoxFuture, Changes, RegisterOptions, Registry};

#[cfg(feature = "cache")]
pub use cache::{Backoff, Cache, CacheOptions, Status};
#[cfg(feature = "memory")]
pub use memory::Memory;
