//! A registry that does what it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use futures_util::{StreamExt, future, stream};
use tokio::time::{Instant, sleep};

use crate::{BoxFuture, Change, Changes, Error, RegisterOptions, Registry, Service, ServiceName};

/// What happens to one call of `watch`.
pub(super) enum Watch {
    Fail(&'static str),
    Hang,
    /// The stream does these one after another, and then is silent.
    Open(Vec<Act>),
}

pub(super) enum Act {
    Say(Change),
    Wait(Duration),
    Fail(&'static str),
    End,
}

/// Each call of `watch` takes the next of its script; one more than that panics.
#[derive(Clone)]
pub(super) struct Scripted {
    script: Arc<Mutex<VecDeque<Watch>>>,
    watched: Arc<Mutex<Vec<Instant>>>,
    streams: Arc<Mutex<Vec<Weak<()>>>>,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl Scripted {
    pub(super) fn new(script: impl IntoIterator<Item = Watch>) -> Self {
        let script = Arc::new(Mutex::new(script.into_iter().collect()));
        Self {
            script,
            watched: Arc::default(),
            streams: Arc::default(),
        }
    }

    /// When `watch` was called.
    pub(super) fn watched(&self) -> Vec<Instant> {
        self.watched.lock().unwrap().clone()
    }

    /// How many streams it gave out have not been dropped.
    pub(super) fn open(&self) -> usize {
        self.streams
            .lock()
            .unwrap()
            .iter()
            .filter(|stream| stream.strong_count() > 0)
            .count()
    }

    fn stream(&self, acts: Vec<Act>) -> Changes {
        let open = Arc::new(());
        self.streams.lock().unwrap().push(Arc::downgrade(&open));
        let state = (VecDeque::from(acts), open);
        stream::unfold(state, |(mut acts, open)| async move {
            loop {
                match acts.pop_front() {
                    Some(Act::Say(change)) => return Some((Ok(change), (acts, open))),
                    Some(Act::Wait(time)) => sleep(time).await,
                    Some(Act::Fail(why)) => return Some((Err(unavailable(why)), (acts, open))),
                    Some(Act::End) => return None,
                    None => future::pending().await,
                }
            }
        })
        .boxed()
    }
}

pub(super) fn unavailable(why: &'static str) -> Error {
    Error::unavailable("scripted", why)
}

impl Registry for Scripted {
    fn watch<'a>(&'a self, _service: &'a ServiceName) -> BoxFuture<'a, Result<Changes, Error>> {
        Box::pin(async move {
            self.watched.lock().unwrap().push(Instant::now());
            let watch = self.script.lock().unwrap().pop_front();
            match watch.expect("watched once more than the script says") {
                Watch::Fail(why) => Err(unavailable(why)),
                Watch::Hang => future::pending().await,
                Watch::Open(acts) => Ok(self.stream(acts)),
            }
        })
    }

    fn register<'a>(
        &'a self,
        _service: &'a Service,
        _options: RegisterOptions,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async { Err(unavailable("register")) })
    }

    fn deregister<'a>(&'a self, _service: &'a Service) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async { Err(unavailable("deregister")) })
    }

    fn services<'a>(&'a self) -> BoxFuture<'a, Result<Vec<ServiceName>, Error>> {
        Box::pin(async { Err(unavailable("services")) })
    }

    fn name(&self) -> &str {
        "scripted"
    }
}
