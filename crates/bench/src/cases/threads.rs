//! Two threads at once, each with a runtime, a task and half of the calls.

use std::{
    sync::{Arc, Barrier},
    thread,
};

use http::{Request, Response};
use http_body::Body as HttpBody;
use tower::Service;
use tower_micro::Channel;

use super::onion::full;
use crate::{
    calls::{Calls, runtime},
    case::Case,
    cost::{Cost, Run},
    goal::Goal,
    mock::Mock,
    request::unary,
};

pub(super) const CASES: &[Case] = &[
    Case::new("empty-two-threads", || {
        Box::new(Pair::new(|| [Mock::at_once(); 2]))
    }),
    // What a call costs where another thread is busy too, though they share nothing but the machine: what sharing is held against.
    Case::new("full-two-clients", || {
        Box::new(Pair::new(|| [full(), full()]))
    })
    .over("empty-two-threads"),
    Case::new("full-two-threads", || {
        Box::new(Pair::new(|| {
            let shared: Channel = full();
            [shared.clone(), shared]
        }))
    })
    .over("empty-two-threads")
    .goal(Goal::times(1.5, "full-two-clients")),
];

type Halves<S> = [Calls<S, tonic::body::Body>; 2];

/// One service for each thread.
struct Pair<S>(Halves<S>);

impl<S, R> Pair<S>
where
    S: Service<Request<tonic::body::Body>, Response = Response<R>>,
    S::Error: std::fmt::Debug,
    R: HttpBody + Unpin,
{
    /// Both are warmed up on one runtime, where the tasks that watch the registry live.
    fn new(make: impl FnOnce() -> [S; 2]) -> Self {
        let first = runtime();
        let [one, other] = {
            let _inside = first.enter();
            make()
        };
        let one = Calls::within(Arc::clone(&first), one, unary);
        let other = Calls::within(first, other, unary);
        Self([one, other.moved_to(runtime())])
    }
}

impl<S, R> Run for Pair<S>
where
    S: Service<Request<tonic::body::Body>, Response = Response<R>> + Send,
    S::Error: std::fmt::Debug,
    R: HttpBody + Unpin,
{
    fn run(&mut self, calls: u64) -> Cost {
        let Self([one, other]) = self;
        let start = Barrier::new(2);
        let half = calls / 2;
        thread::scope(|threads| {
            let other = threads.spawn(|| {
                start.wait();
                other.run(half)
            });
            start.wait();
            let one = one.run(calls - half);
            one.and(other.join().expect("nothing in a case fails"))
        })
    }
}
