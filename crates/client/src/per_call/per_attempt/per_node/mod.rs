//! The inner ring: one node, its connections, the wire.

pub mod transport;

pub mod pool;

pub mod connect;
