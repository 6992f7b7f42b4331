//! The outer ring: once per call, in the order of the stack.
//!
//! Client wrappers stand outside of it.

pub mod options;

pub mod select;

pub mod deadline;

pub mod retry;

pub mod per_attempt;
