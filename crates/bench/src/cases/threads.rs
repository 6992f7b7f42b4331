//! Two threads at once, each with a runtime, a task and half of the calls.
//!
//! Each has a processor to itself, where there are two, and stays the same from round to round. Threads that begin with a round share a
//! processor for its first milliseconds, which is most of it, and may get their memory from one arena, where they write to the same lines.

use std::{
    sync::{
        Arc, Barrier,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use super::onion::full;
use crate::{
    calls::{Calls, runtime},
    case::Case,
    cost::{Cost, Run},
    goal::Goal,
    mock::Mock,
    pin::{self, Cores, Pinned},
    request::unary,
};

pub(super) const CASES: &[Case] = &[
    Case::new("empty-two-threads", || {
        let mock = || Calls::new(Mock::at_once, unary);
        Box::new(Pair::new(mock, mock))
    }),
    // What a call costs where another thread is busy too, though they share nothing but the machine: what sharing is held against.
    Case::new("full-two-clients", || {
        let client = || Calls::new(full, unary);
        Box::new(Pair::new(client, client))
    })
    .over("empty-two-threads"),
    Case::new("full-two-threads", || Box::new(sharing()))
        .over("empty-two-threads")
        .goal(Goal::times(1.5, "full-two-clients")),
];

/// What is said under a table of `cases` whose threads share a processor.
pub(super) fn warning(cases: &[Case], pinned: Pinned) -> String {
    let ours = |case: &Case| CASES.iter().any(|own| own.name == case.name);
    match pinned {
        Pinned::No if cases.iter().any(ours) => {
            "\nThe two threads of a case are not pinned to processors of their own: their times say little.\n".into()
        }
        _ => String::new(),
    }
}

/// So many calls are made before those that are measured: a processor that had nothing to do is slow at first.
const AWAKE: u64 = 5_000;

/// One client on two runtimes. Both threads warm it up on the first, where the task that watches the registry lives.
fn sharing() -> Pair {
    let first = runtime();
    let shared = {
        let _inside = first.enter();
        full()
    };
    let (runtime_of_one, one) = (Arc::clone(&first), shared.clone());
    Pair::new(
        move || Calls::within(runtime_of_one, one, unary),
        move || Calls::within(first, shared, unary).moved_to(runtime()),
    )
}

/// Two threads.
struct Pair([Worker; 2]);

impl Pair {
    /// Each thread makes what it runs, in memory of its own.
    fn new<R: Run>(
        one: impl FnOnce() -> R + Send + 'static,
        other: impl FnOnce() -> R + Send + 'static,
    ) -> Self {
        let start = Arc::new(Barrier::new(2));
        let cores = Cores::apart();
        Self([
            Worker::new(cores.map(|cores| cores.servers), Arc::clone(&start), one),
            Worker::new(cores.map(|cores| cores.client), start, other),
        ])
    }
}

impl Run for Pair {
    fn run(&mut self, calls: u64) -> Cost {
        let Self([one, other]) = self;
        let half = calls / 2;
        one.begin(calls - half);
        other.begin(half);
        one.cost().and(other.cost())
    }
}

/// A thread that makes calls when it is told how many, until it is dropped.
struct Worker {
    begin: Sender<u64>,
    cost: Receiver<Cost>,
}

impl Worker {
    fn new<R: Run>(
        core: Option<usize>,
        start: Arc<Barrier>,
        make: impl FnOnce() -> R + Send + 'static,
    ) -> Self {
        let (begin, calls) = channel();
        let (costs, cost) = channel();
        thread::spawn(move || {
            // Where this is refused, the table says so: see `warning`.
            core.map(pin::here);
            let mut run = make();
            for calls in calls {
                start.wait();
                run.run(AWAKE);
                start.wait();
                if costs.send(run.run(calls)).is_err() {
                    break;
                }
            }
        });
        Self { begin, cost }
    }

    fn begin(&self, calls: u64) {
        self.begin.send(calls).expect("it waits for this");
    }

    fn cost(&self) -> Cost {
        self.cost.recv().expect("nothing in a case fails")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::bare;

    #[test]
    fn threads_that_share_a_processor_are_told_of() {
        let apart = Pinned::Apart(Cores {
            client: 1,
            servers: 0,
        });
        assert!(warning(CASES, Pinned::No).contains("not pinned"));
        assert_eq!(warning(CASES, apart), "");
        assert_eq!(warning(bare::CASES, Pinned::No), "");
    }
}
