//! A node: the server of one process, and the hand that holds it.
//!
//! The program `node` serves `bench.Echo` and says `listening ADDRESS` once it does. It obeys the lines of its standard input,
//! [`Order`]s, and ends when that is closed, so that it never outlives who started it.

mod process;
mod server;

use std::{fmt, str::FromStr};

pub use self::{
    process::{Node, NodeOptions, Unstarted},
    server::{Duty, serve},
};

/// What the line begins with that says where a node listens.
pub const LISTENING: &str = "listening ";

/// A line to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Be as you were in the beginning.
    Well,
    /// Answer every call with UNAVAILABLE.
    Unavailable,
    /// Take ten times as long.
    Slow,
    /// Send GOAWAY, finish what is under way, end.
    Stop,
}

impl Order {
    const ALL: [Self; 4] = [Self::Well, Self::Unavailable, Self::Slow, Self::Stop];

    const fn word(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Unavailable => "unavailable",
            Self::Slow => "slow",
            Self::Stop => "stop",
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Order {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        let mut all = Self::ALL.into_iter();
        all.find(|order| order.word() == word).ok_or(())
    }
}
