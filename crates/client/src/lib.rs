#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod answer;
mod build_error;
mod builder;
mod channel;
mod client;
mod descriptors;
mod onion;
mod panic;
pub mod per_call;
mod preset;
mod settings;
pub mod stack;
mod task;
pub mod wrap;

pub use build_error::BuildError;
pub use builder::ClientBuilder;
pub use channel::Channel;
pub use client::Client;
pub use onion::{Line, Onion, Ring};
pub use preset::Preset;
pub use settings::{PoolOptions, Settings};

pub use per_call::per_attempt::per_node::{
    connect::{self, Connect},
    transport::NodeTransport,
};
pub use per_call::per_attempt::{
    metadata::MetadataLayer, outcome::OutcomeLayer, pick::PickLayer, timeout::AttemptTimeoutLayer,
    wrappers::CallWrappersLayer,
};
pub use per_call::{
    deadline::DeadlineLayer, options::OptionsLayer, retry::RetryLayer, select::SelectLayer,
};
pub use wrap::{from_fn::from_fn, with_wrappers};
