//! Processors, so that client and servers do not take each other's.

use std::{fmt, thread};

use rustix::thread::{CpuSet, sched_setaffinity};

/// Where the client runs, and where the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores {
    /// The client's.
    pub client: usize,
    /// That of all servers together.
    pub servers: usize,
}

impl Cores {
    /// The last one for the client, the first for the servers; `None` if there is but one.
    pub fn apart() -> Option<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        (cores > 1).then(|| Self {
            client: cores - 1,
            servers: 0,
        })
    }
}

/// How it went, for the notes under a table.
#[derive(Clone, Copy, Debug)]
pub enum Pinned {
    /// Everything has its place.
    Apart(Cores),
    /// The system would not have it, or has but one processor.
    No,
}

impl Pinned {
    /// Puts this process on the client's processor, if there is one.
    pub fn client() -> Self {
        match Cores::apart() {
            Some(cores) if here(cores.client) => Self::Apart(cores),
            _ => Self::No,
        }
    }

    /// Where the servers belong.
    pub const fn servers(self) -> Option<usize> {
        match self {
            Self::Apart(cores) => Some(cores.servers),
            Self::No => None,
        }
    }
}

impl fmt::Display for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Apart(Cores { client, servers }) => {
                write!(
                    f,
                    "client on processor {client}, servers on processor {servers}"
                )
            }
            Self::No => f.write_str("client and servers are not pinned to processors"),
        }
    }
}

/// Puts this thread, and those that it starts, on one processor. Whether the system has done so.
pub fn here(core: usize) -> bool {
    if core >= CpuSet::MAX_CPU {
        return false;
    }
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).is_ok()
}
