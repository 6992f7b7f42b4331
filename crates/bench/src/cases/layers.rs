//! Each of our layers alone: as it is in the full stack, over the notes that those outside of it leave, and off.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceBuilder, layer::util::Identity};
use tower_micro::{
    Attempt, AttemptTimeoutLayer, Body, CallOptions, CallWrappersLayer, Deadline, DeadlineLayer,
    MetadataLayer, Next, Notes, OptionsLayer, OutcomeLayer, PickLayer, Preset, ResponseBody,
    RetryLayer, SelectLayer, Selector, crates::client::per_call::per_attempt::outcome::Outcome,
};

use super::{
    pass_through::PassThroughLayer,
    picks::{greeter, selector},
};
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
    // All of them, as a user puts them around a service: neither our door nor a pool.
    Case::new("layers", || together(node()))
        .over("bodies")
        .goal(
            Goal::nanoseconds(600.0)
                .allocations(6.0)
                .instructions(5_000.0),
        ),
    Case::new("layers-timer", || {
        together(MockConnection(Mock::on_the_second_poll()))
    })
    .over("bodies")
    .goal(Goal::nanoseconds(800.0)),
];

const NOTHING: Goal = Goal::nanoseconds(10.0).allocations(0.0);

/// In the stack, with nothing to do.
pub(super) const OFF: &[Case] = &[
    // Not a layer of ours: the notes of a call that asks for nothing, and an outcome, as the stack always has both.
    Case::new("quiet", || quiet(Identity::new)).over("bodies"),
    off("deadline-off", || quiet(DeadlineLayer::new)),
    off("retry-off", || quiet(no_retries)),
    off("pick-off", || quiet(PickLayer::new)),
    off("call-wrappers-off", || quiet(CallWrappersLayer::new)),
    off("attempt-timeout-off", || quiet(AttemptTimeoutLayer::new)),
    off("metadata-off", || quiet(MetadataLayer::new)),
    Case::new("all-off", || {
        quiet(|| {
            ServiceBuilder::new()
                .layer(DeadlineLayer::new())
                .layer(no_retries())
                .layer(PickLayer::new())
                .layer(CallWrappersLayer::new())
                .layer(AttemptTimeoutLayer::new())
                .layer(MetadataLayer::new())
                .into_inner()
        })
    })
    .over("quiet")
    .goal(Goal::nanoseconds(60.0).allocations(0.0)),
];

const fn off(name: &'static str, run: fn() -> Box<dyn Run>) -> Case {
    Case::new(name, run).over("quiet").goal(NOTHING)
}

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

/// In the order of the full stack, with one call wrapper.
fn together(node: MockConnection) -> Box<dyn Run> {
    let service = || {
        let selector = selector(3).with_health(Preset::Standard.health());
        let selector: Arc<dyn Selector> = Arc::new(selector);
        ServiceBuilder::new()
            .layer(OptionsLayer::new(Preset::Standard))
            .layer(SelectLayer::new(Arc::clone(&selector), greeter()))
            .layer(DeadlineLayer::new())
            .layer(RetryLayer::new())
            .layer(PickLayer::marking(selector).over_outcomes())
            .layer(PassThroughLayer)
            .layer(CallWrappersLayer::new())
            .layer(AttemptTimeoutLayer::after(Duration::from_secs(1)))
            .layer(MetadataLayer::new())
            .layer(OutcomeLayer::new())
            .service(node)
    };
    Box::new(Calls::new(service, captured))
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

/// In the stack of a call that asks for nothing.
fn quiet<L>(layer: impl FnOnce() -> L) -> Box<dyn Run>
where
    L: Layer<Outcome<MockConnection>, Service: Answering>,
{
    let service = || {
        let inside = OutcomeLayer::new().layer(node());
        NotesLayer::quiet().layer(layer().layer(inside))
    };
    Box::new(Calls::new(service, captured))
}

/// Leaves the same notes on every request.
#[derive(Clone)]
struct NotesLayer {
    options: Arc<CallOptions>,
    timeout: Option<Duration>,
    retries: u32,
}

impl NotesLayer {
    fn of(options: CallOptions) -> Self {
        Self {
            options: Arc::new(options),
            timeout: Some(Duration::from_secs(5)),
            retries: 2,
        }
    }

    /// Those of a call that asks for nothing.
    fn quiet() -> Self {
        Self {
            options: Arc::default(),
            timeout: None,
            retries: 0,
        }
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
        let timeout = self.notes.timeout;
        let deadline = timeout.map(|timeout| Deadline::after(timeout, Instant::now()));
        let notes = Notes::of_mut(&mut request);
        notes.set_options(Arc::clone(&self.notes.options), deadline);
        notes.set_attempt(Attempt::new(0, self.notes.retries));
        self.inner.call(request)
    }
}
