#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod candidate;
pub mod candidates;
pub mod filter;
pub mod picker;
pub mod registry_selector;
pub mod selector;
pub mod strategy;

mod error;

pub use candidate::{Candidate, InFlight};
pub use candidates::Candidates;
pub use error::SelectError;
pub use filter::{Filter, ServiceView};
pub use picker::{Next, Picker};
pub use registry_selector::{RegistrySelector, Spawn, SpawnError, TaskGuard};
pub use selector::{Mark, SelectOptions, Selection, Selector};
pub use strategy::{P2c, Random, RoundRobin, RoundRobinShared, Strategy, Turn, Weighted};
