//! The callers: closed loops with a common limit on how often they call.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tonic::Status;

use super::{CALLERS, DEADLINE, GRACE, MOST_CALLS_PER_S};
use crate::{
    echo::{Echo, EchoRequest},
    ledger,
    peers::Guest,
};

const PAYLOAD: &[u8] = &[b'x'; 64];

/// A call that is over.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) id: u64,
    /// In microseconds since 1970.
    pub(super) began: u64,
    /// In microseconds.
    pub(super) took: u64,
    pub(super) failure: Option<Failure>,
}

impl Ended {
    pub(super) const fn at(&self) -> u64 {
        self.began + self.took
    }
}

/// Why a call failed.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// It was told so.
    Status(Box<Status>),
    /// It was answered with something else.
    Mistaken,
    /// It was not over after its deadline and [`GRACE`].
    Hung,
}

/// Calls until `enough`.
#[derive(Clone, Debug)]
pub(super) struct Callers {
    pub(super) enough: Arc<AtomicBool>,
}

impl Guest for Callers {
    type Seen = Vec<Ended>;

    async fn meet<E: Echo>(self, echo: E) -> Vec<Ended> {
        let slots = Arc::new(Slots::default());
        let mut running = JoinSet::new();
        for _ in 0..CALLERS {
            let (slots, enough) = (Arc::clone(&slots), Arc::clone(&self.enough));
            running.spawn(call(echo.clone(), slots, enough));
        }
        running.join_all().await.concat()
    }
}

async fn call(mut echo: impl Echo, slots: Arc<Slots>, enough: Arc<AtomicBool>) -> Vec<Ended> {
    let mut ended = Vec::new();
    while !enough.load(Ordering::Relaxed) {
        let id = slots.next().await;
        ended.push(one(&mut echo, id).await);
    }
    ended
}

async fn one(echo: &mut impl Echo, id: u64) -> Ended {
    let (began, clock) = (ledger::now(), Instant::now());
    let payload = Bytes::from_static(PAYLOAD);
    let answer = echo.say(EchoRequest::new(id, payload.clone()));
    let failure = match timeout(DEADLINE + GRACE, answer).await {
        Ok(Ok(reply)) if reply.answers(id, &payload) => None,
        Ok(Ok(_)) => Some(Failure::Mistaken),
        Ok(Err(status)) => Some(Failure::Status(Box::new(status))),
        Err(_) => Some(Failure::Hung),
    };
    Ended {
        id,
        began,
        took: clock.elapsed().as_micros() as u64,
        failure,
    }
}

/// When the next call may be made, and its id.
struct Slots {
    free: Mutex<Instant>,
    next: AtomicU64,
}

impl Default for Slots {
    fn default() -> Self {
        Self {
            free: Mutex::new(Instant::now()),
            next: AtomicU64::new(1),
        }
    }
}

impl Slots {
    async fn next(&self) -> u64 {
        let slot = self.take();
        if slot > Instant::now() {
            sleep_until(slot).await;
        }
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Slots that nobody took are gone: there is no catching up.
    fn take(&self) -> Instant {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = (*free).max(Instant::now());
        *free = slot + Duration::from_secs(1) / MOST_CALLS_PER_S;
        slot
    }
}
