#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod answered;
pub mod attributes;
mod body;
pub mod exchange;
mod head;
mod observer;
pub mod onion;
mod open;
#[cfg(test)]
mod tests;
pub mod words;

pub use answered::Answered;
pub use body::ObservedBody;
pub use exchange::{ObserveExchange, ObserveExchangeLayer};
pub use head::is_grpc;
pub use observer::{Ending, Observer, Watch};
pub use onion::{Observe, ObserveLayer};
