//! tower's contract: `poll_ready` reserves, `call` spends, a clone starts with nothing.
//!
//! The probe answers a call without a reservation with an error, and counts reservations that were neither spent nor given back.

mod channel;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use futures_util::{FutureExt, future};
use http::{Request, Response};
use tonic::Code;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_micro::{
    AttemptTimeoutLayer, Body, CallOptions, CallWrappersLayer, Context, DeadlineLayer, Error,
    InboundLayer, MetadataLayer, Next, Notes, OptionsLayer, OutcomeLayer, PickLayer, Preset,
    RequestExt, ResponseBody, RetryLayer, SelectLayer, Selector, ServiceName,
    crates::selector::{SelectOptions, Selection},
    from_fn,
};
use tower_micro_testkit::Probe;

use crate::support::{Answer, Nobody, Recording};

const LONG: Duration = Duration::from_secs(10);

fn request() -> Request<Body> {
    Request::new(Body::empty())
}

/// A request that carries the notes of a call with a wrapper of its own.
fn wrapped_request() -> Request<Body> {
    let pass =
        |_: Context, request: Request<Body>, next: Next| async move { next.run(request).await };
    let options = CallOptions::new().call_wrapper(pass);
    let mut request = request();
    Notes::of_mut(&mut request).set_options(Arc::new(options), None);
    request
}

/// What a service owes the one inside, whatever is done with it.
async fn keeps_the_contract<L>(layer: L, request: impl Fn() -> Request<Body>)
where
    L: Layer<Probe>,
    L::Service: Service<Request<Body>> + Clone,
    <L::Service as Service<Request<Body>>>::Error: Into<Error>,
{
    for waits in [0, 3] {
        let probe = Probe::slow(waits);
        let outstanding = probe.outstanding();
        let mut service = layer.layer(probe);

        let answer = service
            .ready()
            .await
            .map_err(Into::into)
            .unwrap()
            .call(request());
        answer.await.map_err(Into::into).unwrap();
        assert_eq!(outstanding.load(SeqCst), 0, "after a call");

        let _ = service.ready().await.map_err(Into::into).unwrap();
        let clone = service.clone();
        clone.oneshot(request()).await.map_err(Into::into).unwrap();
        let answer = service.call(request());
        answer.await.map_err(Into::into).unwrap();
        assert_eq!(
            outstanding.load(SeqCst),
            0,
            "after a clone's call and its own"
        );

        drop(
            service
                .ready()
                .await
                .map_err(Into::into)
                .unwrap()
                .call(request()),
        );
        assert_eq!(outstanding.load(SeqCst), 0, "after a call that was dropped");

        let mut clone = service.clone();
        let _ = clone.ready().await.map_err(Into::into).unwrap();
        drop(clone);
        assert_eq!(
            outstanding.load(SeqCst),
            0,
            "after a clone that was dropped"
        );
    }
}

fn name() -> ServiceName {
    "greeter".parse().unwrap()
}

/// One node, known at once or after a while.
fn selecting(pending: bool) -> SelectLayer {
    let recording = Recording::of(2);
    match pending {
        true => SelectLayer::new(Arc::new(Slow(recording)), name()),
        false => SelectLayer::new(Arc::new(recording), name()),
    }
}

/// A selector that has to be waited for.
#[derive(Debug)]
struct Slow(Recording);

impl Selector for Slow {
    fn select(&self, _: &ServiceName, _: &SelectOptions) -> Selection {
        let picker = self.0.picker();
        Selection::Pending(Box::pin(async {
            tokio::task::yield_now().await;
            Ok(picker)
        }))
    }

    fn name(&self) -> &'static str {
        "slow"
    }
}

async fn pass(_: Context, request: Request<Body>, next: Next) -> Answer {
    next.run(request).await
}

#[tokio::test]
async fn options_keep_the_contract() {
    keeps_the_contract(OptionsLayer::new(Preset::Standard), request).await;
}

#[tokio::test]
async fn select_keeps_the_contract() {
    keeps_the_contract(selecting(false), request).await;
    keeps_the_contract(selecting(true), request).await;
}

#[tokio::test]
async fn deadline_keeps_the_contract() {
    keeps_the_contract(DeadlineLayer::new(), request).await;
    keeps_the_contract(DeadlineLayer::after(LONG), request).await;
}

#[tokio::test]
async fn retry_keeps_the_contract() {
    keeps_the_contract(RetryLayer::new(), request).await;
}

#[tokio::test]
async fn pick_keeps_the_contract() {
    keeps_the_contract(PickLayer::new(), request).await;
    let selected = ServiceBuilder::new()
        .layer(selecting(false))
        .layer(PickLayer::marking(Arc::new(Recording::of(1))));
    keeps_the_contract(selected, request).await;
}

#[tokio::test]
async fn call_wrappers_keep_the_contract() {
    keeps_the_contract(CallWrappersLayer::new(), request).await;
    keeps_the_contract(CallWrappersLayer::new(), wrapped_request).await;
}

#[tokio::test]
async fn attempt_timeout_keeps_the_contract() {
    keeps_the_contract(AttemptTimeoutLayer::new(), request).await;
    keeps_the_contract(AttemptTimeoutLayer::after(LONG), request).await;
}

#[tokio::test]
async fn metadata_keeps_the_contract() {
    keeps_the_contract(MetadataLayer::new(), request).await;
}

#[tokio::test]
async fn outcome_keeps_the_contract() {
    keeps_the_contract(OutcomeLayer::new(), request).await;
}

#[tokio::test]
async fn from_fn_keeps_the_contract() {
    keeps_the_contract(from_fn(pass), request).await;
}

#[tokio::test]
async fn inbound_keeps_the_contract() {
    keeps_the_contract(InboundLayer::new(), request).await;
}

/// All layers in the order of the stack.
macro_rules! stack {
    ($select:expr) => {
        ServiceBuilder::new()
            .layer(OptionsLayer::new(Preset::Standard))
            .layer($select)
            .layer(DeadlineLayer::new())
            .layer(RetryLayer::new())
            .layer(PickLayer::marking(Arc::new(Recording::of(1))))
            .layer(CallWrappersLayer::new())
            .layer(AttemptTimeoutLayer::new())
            .layer(MetadataLayer::new())
            .layer(OutcomeLayer::new())
    };
}

#[tokio::test]
async fn the_whole_stack_keeps_the_contract() {
    for pending in [false, true] {
        keeps_the_contract(stack!(selecting(pending)), request).await;
        keeps_the_contract(stack!(selecting(pending)), wrapped_request).await;
    }
}

#[tokio::test]
async fn the_whole_stack_inside_of_functions_keeps_the_contract() {
    let wrapped = ServiceBuilder::new()
        .layer(from_fn(pass))
        .layer(stack!(selecting(true)))
        .layer(from_fn(pass));
    keeps_the_contract(wrapped, request).await;
}

/// Refuses the first `left` calls it is given, after they were paid for.
#[derive(Clone)]
struct Refusing<S> {
    inner: S,
    left: Arc<AtomicUsize>,
}

impl<S> Service<Request<Body>> for Refusing<S>
where
    S: Service<Request<Body>, Response = Response<ResponseBody>, Future: Send + 'static>,
    S::Error: Into<Error> + Send,
{
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = future::BoxFuture<'static, Answer>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = self.inner.call(request);
        let left = |left: usize| left.checked_sub(1);
        let refused = self.left.fetch_update(SeqCst, SeqCst, left).is_ok();
        let refusal = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let judged = move |answer: Result<_, S::Error>| match refused {
            true => Err(Error::transport(refusal)),
            false => answer.map_err(Into::into),
        };
        answer.map(judged).boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn every_attempt_has_a_reservation_of_its_own() {
    for waits in [0, 3] {
        let probe = Probe::slow(waits);
        let outstanding = probe.outstanding();
        let left = Arc::new(AtomicUsize::new(2));
        let inner = Refusing { inner: probe, left };
        let mut retry = RetryLayer::new().layer(inner.clone());
        let answer = retry.ready().await.unwrap().call(request());
        assert!(answer.await.is_ok());
        assert_eq!(inner.left.load(SeqCst), 0, "there were three attempts");
        assert_eq!(outstanding.load(SeqCst), 0);
    }
}

#[tokio::test]
async fn a_call_that_is_refused_on_the_way_in_leaves_nothing_reserved() {
    let garbage = || {
        let mut request = request();
        request
            .headers_mut()
            .insert("grpc-timeout", "soon".parse().unwrap());
        request
    };
    let late = || request().with_options(CallOptions::new().timeout(Duration::ZERO));
    let cases = [
        (selecting(false), garbage(), Code::InvalidArgument),
        (selecting(false), late(), Code::DeadlineExceeded),
        (
            SelectLayer::new(Arc::new(Nobody), name()),
            request(),
            Code::Unavailable,
        ),
    ];
    for (select, request, code) in cases {
        let probe = Probe::new();
        let outstanding = probe.outstanding();
        let mut service = stack!(select).service(probe);
        let error = service
            .ready()
            .await
            .unwrap()
            .call(request)
            .await
            .unwrap_err();
        assert_eq!(error.code(), code);
        assert_eq!(outstanding.load(SeqCst), 0, "{code:?}");
    }
}

#[test]
fn services_are_send_and_sync_when_the_inside_is() {
    fn check<S: Send + Sync + 'static>(_: &S) {}
    check(
        &stack!(selecting(false))
            .layer(from_fn(pass))
            .service(Probe::new()),
    );
    check(&InboundLayer::new().layer(service_fn(|(): ()| async { Ok::<_, Error>(()) })));
}
