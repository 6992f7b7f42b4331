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
    pin,
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
        Self([
            Worker::new(0, Arc::clone(&start), one),
            Worker::new(1, start, other),
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
        core: usize,
        start: Arc<Barrier>,
        make: impl FnOnce() -> R + Send + 'static,
    ) -> Self {
        let (begin, calls) = channel();
        let (costs, cost) = channel();
        thread::spawn(move || {
            pin::here(core);
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
