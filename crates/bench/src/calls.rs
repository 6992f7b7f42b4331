//! Unary calls through a service, one after the other.

use std::{
    fmt,
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use http::{Request, Response};
use http_body::Body as HttpBody;
use tokio::{runtime::Runtime, task::coop::unconstrained};
use tower::{Service, ServiceExt};

use crate::{
    cost::{Cost, Run},
    mock::drain,
};

/// Calls that are made once before anything is measured: the registry has answered, caches are warm.
const WARM_UP: u64 = 200;

/// A runtime of one thread, with timers and nothing else.
pub fn runtime() -> Arc<Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().build();
    Arc::new(runtime.expect("timers need nothing of the system"))
}

/// The same, with sockets.
#[cfg(feature = "collector")]
pub(crate) fn runtime_with_io() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build();
    runtime.expect("sockets can be had")
}

/// Calls through one service, one after the other, on this thread.
///
/// Each is polled by hand until it is there, so that no scheduler is measured, and read to its end.
pub struct Calls<S, B> {
    runtime: Arc<Runtime>,
    service: S,
    request: fn() -> Request<B>,
}

impl<S, B, R> Calls<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: fmt::Debug,
    R: HttpBody + Unpin,
{
    /// Makes the service inside of a runtime of its own, and warms it up.
    pub fn new(make: impl FnOnce() -> S, request: fn() -> Request<B>) -> Self {
        let runtime = runtime();
        let service = {
            let _inside = runtime.enter();
            make()
        };
        Self::within(runtime, service, request)
    }

    /// With a service that is there already.
    pub fn within(runtime: Arc<Runtime>, mut service: S, request: fn() -> Request<B>) -> Self {
        runtime.block_on(awaited(&mut service, request, WARM_UP));
        Self {
            runtime,
            service,
            request,
        }
    }
}

impl<S, B> Calls<S, B> {
    /// The same service, polled on another runtime.
    #[must_use]
    pub fn moved_to(self, runtime: Arc<Runtime>) -> Self {
        Self { runtime, ..self }
    }
}

impl<S, B, R> Run for Calls<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: fmt::Debug,
    R: HttpBody + Unpin,
{
    fn run(&mut self, calls: u64) -> Cost {
        let (service, request) = (&mut self.service, self.request);
        let work = async move { Cost::of(|| (0..calls).for_each(|_| by_hand(service, request()))) };
        // A future that never yields would use up tokio's budget, and its timers would not be armed any more.
        self.runtime.block_on(unconstrained(work))
    }
}

fn by_hand<S, B, R>(service: &mut S, request: Request<B>)
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: fmt::Debug,
    R: HttpBody + Unpin,
{
    let mut cx = Context::from_waker(Waker::noop());
    let ready = until_ready(|| service.poll_ready(&mut cx));
    ready.expect("nothing in a case fails");
    let mut answer = pin!(service.call(request));
    let answer = until_ready(|| answer.as_mut().poll(&mut cx));
    drain(answer.expect("nothing in a case fails").into_body());
}

fn until_ready<T>(mut poll: impl FnMut() -> Poll<T>) -> T {
    loop {
        if let Poll::Ready(value) = poll() {
            return value;
        }
    }
}

async fn awaited<S, B, R>(service: &mut S, request: fn() -> Request<B>, calls: u64)
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: fmt::Debug,
    R: HttpBody + Unpin,
{
    for _ in 0..calls {
        let service = service.ready().await.expect("nothing in a case fails");
        let answer = service.call(request()).await;
        drain(answer.expect("nothing in a case fails").into_body());
    }
}

/// Calls through a service that hands them to a task of its own: the turns of the scheduler are part of what it costs.
pub struct AwaitedCalls<S, B>(Calls<S, B>);

impl<S, B, R> AwaitedCalls<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: fmt::Debug,
    R: HttpBody + Unpin,
{
    /// As [`Calls::new`].
    pub fn new(make: impl FnOnce() -> S, request: fn() -> Request<B>) -> Self {
        Self(Calls::new(make, request))
    }
}

impl<S, B, R> Run for AwaitedCalls<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: fmt::Debug,
    R: HttpBody + Unpin,
{
    fn run(&mut self, calls: u64) -> Cost {
        let Calls {
            runtime,
            service,
            request,
        } = &mut self.0;
        Cost::of(|| runtime.block_on(awaited(service, *request, calls)))
    }
}

impl<S, B> fmt::Debug for Calls<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Calls")
    }
}

impl<S, B> fmt::Debug for AwaitedCalls<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AwaitedCalls")
    }
}
