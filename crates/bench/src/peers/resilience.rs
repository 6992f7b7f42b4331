//! tower-resilience, as its documentation puts it together: retry outside, and to each node a breaker and a time limiter.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use tonic::{body::Body, transport::Channel};
use tower::{Service, ServiceBuilder, ServiceExt, util::Oneshot};
use tower_resilience::{
    circuitbreaker::{CircuitBreakerError, CircuitBreakerLayer},
    retry::RetryLayer,
    timelimiter::{TimeLimiterError, TimeLimiterLayer},
};

use super::{
    ATTEMPTS, Terms, Unbuilt,
    capture::{Repeatable, captured, failed, released, unavailable},
    generated_client::Generated,
    plain::channel,
};
use crate::echo::Echo;

const BACKOFF: Duration = Duration::from_millis(10);
const CALLS_SEEN: usize = 20;
const CALLS_NEEDED: usize = 5;
const OPEN: Duration = Duration::from_secs(1);

type Failed = CircuitBreakerError<TimeLimiterError<tonic::transport::Error>>;

/// Retry over a round robin over the nodes, each in its breaker.
pub(super) fn client(nodes: &[SocketAddr], terms: Terms) -> Result<impl Echo + use<>, Unbuilt> {
    let attempts = if terms.idempotent { ATTEMPTS } else { 1 };
    let nodes: Result<Arc<[_]>, _> = nodes
        .iter()
        .map(|address| node(channel(*address), terms.deadline / attempts))
        .collect();
    let retry = RetryLayer::<Request<Repeatable>, Response<Body>, Failed>::builder()
        .max_attempts(attempts as usize)
        .exponential_backoff(BACKOFF)
        .retry_on_response(unavailable)
        .build();
    let stack = ServiceBuilder::new()
        .map_request(captured)
        .layer(retry)
        .service(RoundRobin::over(nodes?));
    Ok(Generated::over(stack, None))
}

fn node(
    channel: Channel,
    limit: Duration,
) -> Result<
    impl Service<Request<Repeatable>, Response = Response<Body>, Error = Failed, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static,
    Unbuilt,
> {
    let breaker = CircuitBreakerLayer::builder()
        .sliding_window_size(CALLS_SEEN)
        .minimum_number_of_calls(CALLS_NEEDED)
        .wait_duration_in_open(OPEN)
        .failure_classifier(
            failed::<Body, TimeLimiterError<tonic::transport::Error>>
                as fn(&Result<Response<Body>, TimeLimiterError<tonic::transport::Error>>) -> bool,
        )
        .build()
        .map_err(Unbuilt::because)?;
    let limiter = TimeLimiterLayer::builder().timeout_duration(limit).build();
    let limited = ServiceBuilder::new()
        .layer(limiter)
        .service(channel.map_request(released));
    Ok(breaker.layer_fn(limited))
}

/// One node after the other. tower-resilience chooses among alternatives by weight, not in turn, so this is by hand.
///
/// Retry clones it for each call, which is no more than counting references.
struct RoundRobin<N> {
    nodes: Arc<[N]>,
    next: Arc<AtomicUsize>,
}

impl<N> RoundRobin<N> {
    fn over(nodes: Arc<[N]>) -> Self {
        let next = Arc::default();
        Self { nodes, next }
    }
}

impl<N> Clone for RoundRobin<N> {
    fn clone(&self) -> Self {
        Self {
            nodes: Arc::clone(&self.nodes),
            next: Arc::clone(&self.next),
        }
    }
}

impl<N: Service<Request<Repeatable>> + Clone> Service<Request<Repeatable>> for RoundRobin<N> {
    type Response = N::Response;
    type Error = N::Error;
    type Future = Oneshot<N, Request<Repeatable>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), N::Error>> {
        // Which node is known in `call`; it is readied there.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Repeatable>) -> Self::Future {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let node = self.nodes[next % self.nodes.len()].clone();
        node.oneshot(request)
    }
}
