//! Streams: opened on any node, committed to one, ended once.
//!
//! Servers are real, unless time or memory is the subject: then nodes are scripts, and time is virtual.

mod chain;
mod ending;
mod fleet;
mod kinds;
mod known;
mod memory;
mod opening;
mod replay;
mod time;
