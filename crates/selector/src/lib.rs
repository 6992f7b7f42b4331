#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod candidate;
pub mod candidates;
pub mod clock;
pub mod filter;
pub mod handles;
pub mod health;
pub mod picker;
pub mod registry_selector;
pub mod selector;
pub mod strategy;

mod error;
mod latency;

pub use candidate::{Candidate, InFlight};
pub use candidates::Candidates;
pub use clock::{Clock, SystemClock};
pub use error::SelectError;
pub use filter::{Filter, ServiceView};
pub use handles::Handles;
pub use health::{Fault, Health, InvalidOutlier, Outlier};
pub use picker::{Chosen, Next, Picker};
pub use registry_selector::{RegistrySelector, Spawn, SpawnError, TaskGuard};
pub use selector::{Mark, SelectOptions, Selection, Selector};
pub use strategy::{
    HashKey, P2c, PeakEwma, Random, RingHash, RoundRobin, RoundRobinShared, Strategy, Turn,
    Weighted,
};
