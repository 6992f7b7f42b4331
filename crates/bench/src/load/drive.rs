//! Closed loops: so many callers, each of which calls again when it was answered.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use thiserror::Error;
use tokio::{runtime::Runtime, task::JoinSet, time::Instant};

use crate::{
    cost::Cost,
    echo::{Echo, EchoRequest},
    peers::{Guest, Terms, Unbuilt, Variant},
};

/// What our own preset gives a call.
const DEADLINE: Duration = Duration::from_secs(5);

/// How long callers call.
#[derive(Clone, Copy, Debug)]
pub enum Extent {
    /// Until so much time has passed.
    Time(Duration),
    /// So many calls, all together.
    Calls(u64),
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Round {
    /// From the first call to the end of the last one, and what was allocated in between on the client's only thread.
    pub cost: Cost,
    /// How long each call took that was answered, in nanoseconds.
    pub latencies: Vec<u32>,
    /// Calls that failed, or were answered with something else.
    pub errors: u64,
}

impl Round {
    /// Calls that were made.
    pub fn calls(&self) -> u64 {
        self.latencies.len() as u64 + self.errors
    }

    /// Nothing, if every call was answered: those that fail cost something else.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub fn answered(&self) -> Result<(), Unanswered> {
        let (errors, calls) = (self.errors, self.calls());
        match errors {
            0 => Ok(()),
            _ => Err(Unanswered { errors, calls }),
        }
    }

    fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.errors += other.errors;
    }
}

/// A round in which calls failed.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{errors} of {calls} calls failed")]
pub struct Unanswered {
    errors: u64,
    calls: u64,
}

/// A client that is ready to call.
pub trait Load {
    /// Has `callers` callers call with `payload`.
    fn run(&self, runtime: &Runtime, callers: usize, payload: &Bytes, extent: Extent) -> Round;
}

/// The client of `variant`, inside of `runtime`.
///
/// # Errors
/// If its library refuses to build it.
pub fn prepare(
    variant: Variant,
    nodes: &[SocketAddr],
    runtime: &Runtime,
) -> Result<Box<dyn Load>, Unbuilt> {
    let terms = Terms {
        deadline: DEADLINE,
        plain_deadline: None,
        idempotent: true,
    };
    runtime.block_on(variant.open(nodes, terms, Boxing))
}

struct Boxing;

impl Guest for Boxing {
    type Seen = Box<dyn Load>;

    async fn meet<E: Echo>(self, echo: E) -> Box<dyn Load> {
        Box::new(Callers(echo))
    }
}

struct Callers<E>(E);

impl<E: Echo> Load for Callers<E> {
    fn run(&self, runtime: &Runtime, callers: usize, payload: &Bytes, extent: Extent) -> Round {
        let mut round = Round::default();
        round.cost = Cost::of(|| {
            runtime.block_on(async {
                let mut callers = self.begin(callers, payload, extent);
                while let Some(ended) = callers.join_next().await {
                    round.add(ended.expect("no caller panics"));
                }
            });
        });
        round
    }
}

impl<E: Echo> Callers<E> {
    fn begin(&self, callers: usize, payload: &Bytes, extent: Extent) -> JoinSet<Round> {
        let end = Arc::new(End::of(extent));
        let mut running = JoinSet::new();
        for _ in 0..callers {
            running.spawn(call(self.0.clone(), payload.clone(), Arc::clone(&end)));
        }
        running
    }
}

async fn call(mut echo: impl Echo, payload: Bytes, end: Arc<End>) -> Round {
    let mut round = Round::default();
    let mut began = Instant::now();
    while let Some(id) = end.next(began) {
        let answer = echo.say(EchoRequest::new(id, payload.clone())).await;
        let now = Instant::now();
        match answer {
            Ok(reply) if reply.answers(id, &payload) => {
                round.latencies.push(nanoseconds(now - began));
            }
            _ => round.errors += 1,
        }
        began = now;
    }
    round
}

fn nanoseconds(time: Duration) -> u32 {
    u32::try_from(time.as_nanos()).unwrap_or(u32::MAX)
}

/// When it is enough. Hands out the ids of calls.
struct End {
    next: AtomicU64,
    calls: u64,
    time: Option<Instant>,
}

impl End {
    fn of(extent: Extent) -> Self {
        let (calls, time) = match extent {
            Extent::Time(time) => (u64::MAX, Some(Instant::now() + time)),
            Extent::Calls(calls) => (calls, None),
        };
        Self {
            next: AtomicU64::new(0),
            calls,
            time,
        }
    }

    fn next(&self, now: Instant) -> Option<u64> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let more = id < self.calls && self.time.is_none_or(|end| now < end);
        more.then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_in_which_calls_failed_says_how_many() {
        let mut round = Round {
            latencies: vec![1_000; 5],
            ..Round::default()
        };
        assert_eq!(round.answered(), Ok(()));
        round.errors = 2;
        let complaint = round.answered().unwrap_err().to_string();
        assert_eq!(complaint, "2 of 7 calls failed");
    }
}
