//! The fake transport: every attempt takes the next outcome of its call.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::Request;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep, sleep_until};
use tower_micro::{Body, CallOptions, Deadline, Error, Metadata, Notes, ResponseBody, micro};
use tower_micro_testkit::Scripted;

use crate::support::is_traced;

use super::{
    events::shown_end,
    recorder::Recorder,
    scenario::{Outcome, OutcomeKind, Record},
};

type Answer = Result<http::Response<ResponseBody>, Error>;

/// Which attempt filled a response.
#[derive(Clone, Copy, Debug)]
pub(super) struct FilledBy(pub(super) usize);

/// What the nodes do. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Script {
    recorder: Recorder,
    record: Arc<[Record]>,
    call: Arc<Mutex<CallScript>>,
}

#[derive(Debug, Default)]
struct CallScript {
    outcomes: Vec<Outcome>,
    attempts: usize,
}

impl Script {
    pub(super) fn new(recorder: &Recorder, record: &[Record]) -> Self {
        Self {
            recorder: recorder.clone(),
            record: record.into(),
            call: Arc::default(),
        }
    }

    /// Begins a call, which ends as `outcomes` say, the last of them as often as needed.
    pub(super) fn begin(&self, outcomes: &[Outcome]) {
        let outcomes = outcomes.to_vec();
        let attempts = 0;
        *self.call.lock().unwrap_or_else(PoisonError::into_inner) =
            CallScript { outcomes, attempts };
    }

    /// In the place of connections.
    pub(super) fn transport(&self) -> Scripted {
        let script = self.clone();
        Scripted::new(move |request| script.clone().attempt(request))
    }

    fn next(&self) -> (usize, Option<Outcome>) {
        let mut call = self.call.lock().unwrap_or_else(PoisonError::into_inner);
        let number = call.attempts;
        call.attempts += 1;
        let outcome = call.outcomes.get(number).or(call.outcomes.last());
        (number, outcome.cloned())
    }

    async fn attempt(self, request: Request<Body>) -> Answer {
        let (number, outcome) = self.next();
        self.recorder.add(self.called(number, &request));
        let deadline = Notes::of(&request).and_then(Notes::deadline);
        let answer = match outcome {
            None => Ok(()),
            Some(outcome) => end(&outcome, deadline).await,
        };
        let err = shown_end(&answer);
        self.recorder
            .add(json!({"ev": "call_done", "seq": number, "err": err}));
        answer.map(|()| {
            let mut response = Scripted::ok();
            response.extensions_mut().insert(FilledBy(number));
            response
        })
    }

    fn called(&self, number: usize, request: &Request<Body>) -> Value {
        let notes = Notes::of(request).expect("the stack leaves notes");
        let node = notes.node().expect("an attempt has a node");
        let mut event = Map::new();
        event.insert("ev".to_owned(), "call".into());
        event.insert("seq".to_owned(), number.into());
        event.insert("node_id".to_owned(), node.id.as_str().into());
        event.insert("addr".to_owned(), node.address.as_str().into());
        for record in self.record.iter() {
            match record {
                Record::Timeouts => timeouts(notes, &mut event),
                Record::Md => add(&mut event, "md", metadata(notes, request)),
                Record::NodeMd => add(&mut event, "node_md", json!(node.metadata)),
                Record::Opts => add(&mut event, "opts", options(notes)),
            }
        }
        event.into()
    }
}

fn add(event: &mut Map<String, Value>, name: &str, value: Value) {
    event.insert(name.to_owned(), value);
}

async fn end(outcome: &Outcome, deadline: Option<Deadline>) -> Result<(), Error> {
    sleep(Duration::from_millis(outcome.sleep_ms)).await;
    match outcome.kind {
        OutcomeKind::Ok => Ok(()),
        OutcomeKind::Error => Err(outcome.err.as_ref().expect("it says which").made()),
        OutcomeKind::WaitCtx => {
            match deadline {
                Some(deadline) => sleep_until(deadline.instant()).await,
                None => std::future::pending().await,
            }
            // After the call's own end, which is at the same instant.
            sleep(Duration::from_millis(outcome.linger_ms.max(1))).await;
            let late = micro::Error::timeout("go.micro.client", "context deadline exceeded");
            Err(tonic::Status::from(late).into())
        }
    }
}

fn timeouts(notes: &Notes, event: &mut Map<String, Value>) {
    let (deadline, now) = (notes.deadline(), Instant::now());
    let timeout = deadline.map(|deadline| milliseconds(deadline.timeout()));
    let left = deadline.map(|deadline| milliseconds(deadline.remaining(now)));
    let over = deadline.is_some_and(|deadline| deadline.has_passed(now));
    let err = over.then(|| json!({"type": "context", "message": "context deadline exceeded"}));
    add(event, "request_timeout_ms", json!(timeout));
    add(event, "ctx_deadline_in_ms", json!(left));
    add(event, "ctx_err", json!(err));
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What goes out with each call of a traced suite.
const OF_THE_TRACE: [&str; 3] = ["Traceparent", "X-Came-From", "X-Canary"];

/// What goes out with the call: of the options, and what wrappers put on the request.
fn metadata(notes: &Notes, request: &Request<Body>) -> Value {
    let own = notes.options().map(|options| options.get_metadata());
    // Headers have lost the case of their keys, so that of the options counts where both say the same.
    let mut all = own.cloned().unwrap_or_default();
    let written = Metadata::from_headers(request.headers());
    let own = all.clone();
    let added = written
        .iter()
        .filter(|(key, value)| own.get(key) != Some(*value))
        .filter(|(key, _)| !(is_traced() && OF_THE_TRACE.contains(key)));
    all.merge(added, true)
        .expect("what comes out of a Metadata goes into one");
    json!(all.iter().collect::<std::collections::BTreeMap<_, _>>())
}

/// go-micro's `CallOptions`. What ours have no counterpart for reads as Go's zero.
fn options(notes: &Notes) -> Value {
    let none = CallOptions::new();
    let options = notes.options().map_or(&none, |options| &**options);
    json!({
        "retries": options.get_retries(),
        "request_timeout_ms": notes.deadline().map(|deadline| milliseconds(deadline.timeout())),
        "dial_timeout_ms": options.get_connect_timeout().map(milliseconds),
        "address": options.get_addresses(),
        "stream_timeout_ms": options.get_stream_timeout().map_or(0, milliseconds),
    })
}
