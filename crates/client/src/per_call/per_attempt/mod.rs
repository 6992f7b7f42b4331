//! The middle ring: once per attempt, in the order of the stack. All of it sees the node.
//!
//! Call wrappers of the client stand between pick and the wrappers of the request.

pub mod pick;

pub mod wrappers;

pub mod timeout;

pub mod metadata;

pub mod outcome;

pub mod per_node;
