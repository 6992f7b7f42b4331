//! Each of our layers alone: as it is in the full stack, over the notes that those outside of it leave, and off.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceBuilder};
use tower_micro::{
    Attempt, AttemptTimeoutLayer, Body, CallOptions, CallWrappersLayer, Deadline, DeadlineLayer,
    MetadataLayer, Next, Notes, OptionsLayer, OutcomeLayer, PickLayer, Preset, ResponseBody,
    RetryLayer, SelectLayer, Selector,
};

use super::picks::{greeter, selector};
use crate::{
    calls::Calls,
    case::Case,
    cost::Run,
    goal::Goal,
    mock::{Mock, MockConnection},
    request::captured,
};

/// As in the full stack.
pub(super) const CASES: &[Case] = &[
    Case::new("options", || alone(OptionsLayer::new(Preset::Standard))).over("bodies"),
    // Not a layer of ours: it leaves what `options` and `retry` leave, so that the others can be measured.
    Case::new("notes", || alone(NotesLayer::of(options()))).over("bodies"),
    Case::new("select", || {
        noted(|| SelectLayer::new(Arc::new(selector(3)), greeter()))
    })
    .over("notes"),
    Case::new("deadline", || noted(DeadlineLayer::new)).over("notes"),
    Case::new("retry", || noted(RetryLayer::new)).over("notes"),
    Case::new("pick", || noted(select_and_pick)).over("select"),
    Case::new("call-wrappers", || {
        let wrapped =
            options().call_wrapper(|_, request, next: Next| async move { next.run(request).await });
        alone(
            ServiceBuilder::new()
                .layer(NotesLayer::of(wrapped))
                .layer(CallWrappersLayer::new())
                .into_inner(),
        )
    })
    .over("notes"),
    Case::new("attempt-timeout", || noted(AttemptTimeoutLayer::new)).over("notes"),
    Case::new("metadata", || noted(MetadataLayer::new)).over("notes"),
    Case::new("outcome", || noted(OutcomeLayer::new)).over("notes"),
];

const NOTHING: Goal = Goal::nanoseconds(10.0).allocations(0.0);

/// In the stack, with nothing to do.
pub(super) const OFF: &[Case] = &[
    Case::new("deadline-off", || alone(DeadlineLayer::new()))
        .over("bodies")
        .goal(NOTHING),
    Case::new("retry-off", || alone(no_retries()))
        .over("bodies")
        .goal(NOTHING),
    Case::new("pick-off", || alone(PickLayer::new()))
        .over("bodies")
        .goal(NOTHING),
    Case::new("call-wrappers-off", || alone(CallWrappersLayer::new()))
        .over("bodies")
        .goal(NOTHING),
    Case::new("attempt-timeout-off", || alone(AttemptTimeoutLayer::new()))
        .over("bodies")
        .goal(NOTHING),
    Case::new("metadata-off", || alone(MetadataLayer::new()))
        .over("bodies")
        .goal(NOTHING),
    Case::new("all-off", || {
        alone(
            ServiceBuilder::new()
                .layer(DeadlineLayer::new())
                .layer(no_retries())
                .layer(PickLayer::new())
                .layer(CallWrappersLayer::new())
                .layer(AttemptTimeoutLayer::new())
                .layer(MetadataLayer::new())
                .into_inner(),
        )
    })
    .over("bodies")
    .goal(Goal::nanoseconds(60.0).allocations(0.0)),
];

fn node() -> MockConnection {
    MockConnection(Mock::at_once())
}

fn options() -> CallOptions {
    Preset::Standard.options().idempotent(true)
}

fn no_retries() -> RetryLayer {
    RetryLayer::with_options(CallOptions::new().retries(0))
}

fn select_and_pick() -> impl Layer<MockConnection, Service: Answering> {
    let selector: Arc<dyn Selector> = Arc::new(selector(3));
    ServiceBuilder::new()
        .layer(SelectLayer::new(Arc::clone(&selector), greeter()))
        .layer(PickLayer::marking(selector))
        .into_inner()
}

/// Any service of ours.
trait Answering:
    Service<Request<Body>, Response = Response<ResponseBody>, Error: std::fmt::Debug> + 'static
{
}

impl<S> Answering for S where
    S: Service<Request<Body>, Response = Response<ResponseBody>, Error: std::fmt::Debug> + 'static
{
}

fn alone<L>(layer: L) -> Box<dyn Run>
where
    L: Layer<MockConnection, Service: Answering>,
{
    Box::new(Calls::new(|| layer.layer(node()), captured))
}

/// Inside of the notes that the full stack has; `layer` is made inside of the runtime.
fn noted<L>(layer: impl FnOnce() -> L) -> Box<dyn Run>
where
    L: Layer<MockConnection, Service: Answering>,
{
    let service = || NotesLayer::of(options()).layer(layer().layer(node()));
    Box::new(Calls::new(service, captured))
}

/// Leaves the same notes on every request.
#[derive(Clone)]
struct NotesLayer {
    options: Arc<CallOptions>,
}

impl NotesLayer {
    fn of(options: CallOptions) -> Self {
        let options = Arc::new(options);
        Self { options }
    }
}

impl<S> Layer<S> for NotesLayer {
    type Service = Noted<S>;

    fn layer(&self, inner: S) -> Noted<S> {
        let notes = self.clone();
        Noted { inner, notes }
    }
}

struct Noted<S> {
    inner: S,
    notes: NotesLayer,
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for Noted<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> S::Future {
        let deadline = Deadline::after(Duration::from_secs(5), Instant::now());
        let notes = Notes::of_mut(&mut request);
        notes.set_options(Arc::clone(&self.notes.options), Some(deadline));
        notes.set_attempt(Attempt::new(0, 2));
        self.inner.call(request)
    }
}
