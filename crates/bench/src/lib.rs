#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// what is measured
pub mod case;
pub mod cases;

pub mod mock;
pub mod request;

// how
pub mod apart;
pub mod calls;
pub mod cost;
pub mod measure;
pub mod pin;

// what it comes to
pub mod figures;
pub mod goal;
pub mod instructions;
pub mod report;

pub mod arguments;
pub mod chart;

#[cfg(feature = "collector")]
pub mod collector;

// over the wire
#[cfg(feature = "wire")]
pub mod echo;
#[cfg(feature = "wire")]
pub mod faults;
#[cfg(feature = "wire")]
pub mod ledger;
#[cfg(feature = "wire")]
pub mod load;
#[cfg(feature = "wire")]
pub mod node;
#[cfg(feature = "wire")]
pub mod peers;
