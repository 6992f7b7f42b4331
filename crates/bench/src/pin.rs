//! Processors, so that client and servers do not take each other's.

use std::{fmt, thread};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Where the client runs, and where the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores {
    /// The client's.
    pub client: usize,
    /// That of all servers together.
    pub servers: usize,
}

impl Cores {
    /// Of the processors that this thread may run on the last one for the client, the first for the servers; `None` if there is but one.
    pub fn apart() -> Option<Self> {
        Self::of(&sched_getaffinity(None).ok()?)
    }

    fn of(allowed: &CpuSet) -> Option<Self> {
        let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
        let servers = cores.next()?;
        let client = cores.next_back()?;
        Some(Self { client, servers })
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

    /// What would come of it, tried by a thread that ends at once.
    pub fn tried() -> Self {
        let tried = thread::spawn(|| {
            let cores = Cores::apart()?;
            (here(cores.servers) && here(cores.client)).then_some(cores)
        });
        let cores = tried.join().ok().flatten();
        cores.map_or(Self::No, Self::Apart)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_that_we_may_not_run_on_are_left_alone() {
        let of = |allowed: &[usize]| {
            let mut cores = CpuSet::new();
            allowed.iter().for_each(|&core| cores.set(core));
            Cores::of(&cores)
        };
        let (servers, client) = (2, 7);
        assert_eq!(of(&[2, 5, 7]), Some(Cores { client, servers }));
        assert_eq!(of(&[3]), None);
    }

    #[test]
    fn trying_leaves_this_thread_where_it_was() {
        let before = Cores::apart();
        Pinned::tried();
        assert_eq!(Cores::apart(), before);
    }
}
