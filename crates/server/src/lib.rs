#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod answer;
pub mod handlers;
pub mod inbound;

pub use handlers::{Handlers, handlers};
pub use inbound::{Inbound, InboundLayer};
