//! Connections of our own: when they are opened, when they are given up, and what a call sees of it.

mod calls;
mod carriers;
mod dials;
mod life;
mod limits;
mod queue;
mod restart;
mod runtimes;
