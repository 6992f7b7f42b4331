#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// what is measured
pub mod case;
pub mod cases;

pub mod mock;
pub mod request;

// how
pub mod calls;
pub mod cost;
pub mod measure;

// what it comes to
pub mod figures;
pub mod goal;
pub mod instructions;
pub mod report;

pub mod arguments;
