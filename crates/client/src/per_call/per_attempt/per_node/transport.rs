//! Sends an attempt to its node.
//!
//! # Place in the stack
//! The inside of everything: a service, not a layer. Reads: the node, the connect timeout.
//!
//! # Units and defaults
//! Connections are made by a [`Connect`], when a call needs one, and kept in a pool by address.
//!
//! # Errors
//! UNAVAILABLE with the cause's whole chain if the connection fails; INVALID_ARGUMENT if the address is not one; INTERNAL if no
//! layer outside has picked a node.
//!
//! # Example
//! ```
//! use tower::ServiceBuilder;
//! use tower_micro_client::{NodeTransport, OutcomeLayer, connect::Tonic};
//!
//! let attempt = ServiceBuilder::new()
//!     .layer(OutcomeLayer::new())
//!     .service(NodeTransport::new(Tonic::new()));
//! ```
//!
//! # Not here
//! How a connection is made: see [`connect`](super::connect).

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use arc_swap::{ArcSwap, Cache};
use http::{Request, Response};
use pin_project::pin_project;
use tonic::Code;
use tower_micro_call::{Body, Error, Kind, Notes, ResponseBody};
use tower_service::Service;

use super::{
    connect::Connect,
    pool::{Lent, Nodes, Pool, Sweeper, Swept, Wanted},
};
use crate::{Preset, Settings};

/// Sends an attempt to its node. See the [module docs](self) for an example.
pub struct NodeTransport<K: Connect> {
    shared: Arc<Shared<K>>,
    /// What this clone knows of the settings and the nodes: nobody counts references to look at them, and neither keeps a connection open.
    settings: Cache<Arc<ArcSwap<Settings>>, Arc<Settings>>,
    nodes: Arc<Nodes<K::Connection>>,
}

struct Shared<K: Connect> {
    connect: Arc<K>,
    pool: Pool<K>,
    settings: Arc<ArcSwap<Settings>>,
    sweeper: Sweeper,
}

impl<K: Connect> NodeTransport<K> {
    /// Connects with `connect`, and pools as `Preset::Standard` does.
    pub fn new(connect: K) -> Self {
        let settings = ArcSwap::from_pointee(Settings::new(Preset::Standard));
        Self::live(Arc::new(connect), Arc::new(settings))
    }

    /// The same, with settings that may change while calls are made.
    pub(crate) fn live(connect: Arc<K>, settings: Arc<ArcSwap<Settings>>) -> Self {
        let pool = Pool::default();
        Self {
            settings: Cache::new(Arc::clone(&settings)),
            nodes: pool.nodes(),
            shared: Arc::new(Shared {
                connect,
                pool,
                settings,
                sweeper: Sweeper::default(),
            }),
        }
    }

    fn lend(&mut self, notes: Option<&Notes>) -> Result<Lent<K::Connection>, Error> {
        let node = notes.and_then(Notes::node).ok_or_else(unpicked)?;
        let options = notes.and_then(Notes::options);
        let shared = &self.shared;
        let nodes = shared.pool.refresh(&mut self.nodes);
        let wanted = Wanted {
            connect: &*shared.connect,
            node,
            timeout: options.and_then(|options| options.get_connect_timeout()),
            options: self.settings.load().pool(),
            alone: nodes.len() == 1,
        };
        if let Some(known) = nodes.ways_to(node) {
            return shared.pool.lend(known, &wanted);
        }
        let lent = shared.pool.grow(&wanted);
        Sweeper::look_after(shared);
        lent
    }
}

impl<K: Connect> Swept for Shared<K> {
    fn sweep(&self) {
        self.pool.sweep(&self.connect, self.settings.load().pool());
    }

    fn forsake(&self) {
        self.pool.forget();
    }

    fn sweeper(&self) -> &Sweeper {
        &self.sweeper
    }
}

fn unpicked() -> Error {
    let text = "no node was picked: put a SelectLayer and a PickLayer around the NodeTransport, and let wrappers that send another \
                body put it in the place of the one they got (Body::replaced_by), which knows the node";
    Error::new(Kind::Request, Code::Internal, text)
}

impl<K: Connect> Clone for NodeTransport<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            settings: self.settings.clone(),
            nodes: Arc::clone(&self.nodes),
        }
    }
}

impl<K: Connect> fmt::Debug for NodeTransport<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeTransport")
            .field("connect", &self.shared.connect)
            .field("pool", &self.shared.pool)
            .finish_non_exhaustive()
    }
}

impl<K: Connect> Service<Request<Body>> for NodeTransport<K> {
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = ResponseFuture<K::Connection>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.lend(Notes::of(&request)) {
            Ok(lent) => ResponseFuture::sending(lent, request),
            Err(error) => ResponseFuture::refused(error),
        }
    }
}

/// One request on one connection.
#[pin_project]
pub struct ResponseFuture<C: Service<Request<Body>>> {
    #[pin]
    phase: Phase<C>,
    lent: Option<Lent<C>>,
}

#[pin_project(project = Projected)]
enum Phase<C: Service<Request<Body>>> {
    Refused(Option<Error>),
    /// The connection has no room yet.
    Readying(Box<(C, Option<Request<Body>>)>),
    Calling(#[pin] C::Future),
}

impl<C> ResponseFuture<C>
where
    C: Service<Request<Body>> + Clone + Send + Sync + 'static,
    C::Error: Into<Error>,
{
    /// A connection has room most of the time, so it is asked at once; only one that has none is waited for.
    fn sending(lent: Lent<C>, request: Request<Body>) -> Self {
        let mut connection = lent.handle();
        let phase = match connection.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Phase::Calling(connection.call(request)),
            Poll::Ready(Err(error)) => Phase::Refused(Some(error.into())),
            Poll::Pending => Phase::Readying(Box::new((connection, Some(request)))),
        };
        let lent = Some(lent);
        Self { phase, lent }
    }

    const fn refused(error: Error) -> Self {
        let phase = Phase::Refused(Some(error));
        Self { phase, lent: None }
    }
}

impl<C> Future for ResponseFuture<C>
where
    C: Service<Request<Body>, Response = Response<ResponseBody>> + Clone + Send + Sync + 'static,
    C::Error: Into<Error>,
{
    type Output = Result<Response<ResponseBody>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let call = match this.phase.as_mut().project() {
                Projected::Refused(error) => {
                    return Poll::Ready(Err(error.take().expect("polled after it was ready")));
                }
                Projected::Calling(call) => {
                    let mut response = ready!(call.poll(cx)).map_err(Into::into)?;
                    if let Some(lent) = this.lent.take() {
                        lent.until_end_of(response.body_mut());
                    }
                    return Poll::Ready(Ok(response));
                }
                Projected::Readying(parked) => {
                    let (connection, request) = &mut **parked;
                    ready!(connection.poll_ready(cx)).map_err(Into::into)?;
                    connection.call(request.take().expect("kept until it is sent"))
                }
            };
            this.phase.set(Phase::Calling(call));
        }
    }
}

impl<C: Service<Request<Body>>> fmt::Debug for ResponseFuture<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("lent", &self.lent)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{Ready, ready},
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
        time::Duration,
    };

    use tokio::time::sleep;
    use tower::ServiceExt;
    use tower_micro_selector::Candidate;

    use super::*;

    /// Counts the connections it has made, and those that are there.
    #[derive(Clone, Debug, Default)]
    struct Counted {
        made: Arc<AtomicUsize>,
        there: Arc<()>,
    }

    #[derive(Clone, Debug)]
    struct Here(#[expect(dead_code, reason = "counted")] Arc<()>);

    impl Counted {
        fn made_and_there(&self) -> (usize, usize) {
            (self.made.load(SeqCst), Arc::strong_count(&self.there) - 2)
        }
    }

    impl Connect for Counted {
        type Connection = Here;

        fn connect(&self, _: &Candidate, _: Option<Duration>) -> Result<Here, Error> {
            self.made.fetch_add(1, SeqCst);
            Ok(Here(Arc::clone(&self.there)))
        }
    }

    impl Service<Request<Body>> for Here {
        type Response = Response<ResponseBody>;
        type Error = Error;
        type Future = Ready<Result<Response<ResponseBody>, Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            ready(Ok(Response::new(ResponseBody::empty())))
        }
    }

    async fn call(transport: &mut NodeTransport<Counted>, node: &Arc<Candidate>) {
        let mut request = Request::new(Body::default());
        Notes::of_mut(&mut request).set_node(Arc::clone(node));
        let transport = transport.ready().await.unwrap();
        transport.call(request).await.unwrap();
    }

    fn runtime() -> tokio::runtime::Runtime {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap()
    }

    #[test]
    fn connections_are_looked_after_though_the_runtime_of_the_first_call_has_ended() {
        let connect = Counted::default();
        let mut transport = NodeTransport::new(connect.clone());
        let [gone, other] = ["a:1", "b:1"].map(Candidate::at);
        runtime().block_on(async {
            call(&mut transport, &gone).await;
            call(&mut transport, &other).await;
        });
        assert_eq!(connect.made_and_there(), (2, 2));
        runtime().block_on(async {
            call(&mut transport, &other).await;
            gone.depart();
            sleep(Duration::from_secs(11)).await;
        });
        assert_eq!(connect.made_and_there(), (2, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clone_that_rests_keeps_no_connection_and_finds_its_node_again() {
        let connect = Counted::default();
        let mut busy = NodeTransport::new(connect.clone());
        let [gone, other] = ["a:1", "b:1"].map(Candidate::at);
        call(&mut busy, &gone).await;
        let mut resting = busy.clone();
        call(&mut resting, &gone).await;
        assert_eq!(connect.made_and_there(), (1, 1));
        gone.depart();
        sleep(Duration::from_secs(11)).await;
        assert_eq!(connect.made_and_there(), (1, 0));
        call(&mut busy, &other).await;
        call(&mut resting, &gone).await;
        assert_eq!(connect.made_and_there(), (3, 2));
        call(&mut busy, &gone).await;
        assert_eq!(connect.made_and_there(), (3, 2), "it is shared");
    }
}
