//! Bare pieces of tower, and the stack that users build of them by hand.

use std::{
    future::{Ready, ready},
    sync::Arc,
    time::Duration,
};

use http::{Request, Response};
use tower::{
    BoxError, Service, ServiceBuilder,
    balance::p2c::Balance,
    buffer::Buffer,
    discover::ServiceList,
    load::{CompleteOnResponse, PeakEwma},
    retry::{
        Policy, Retry,
        budget::{Budget, TpsBudget},
    },
    timeout::Timeout,
};
use tower_micro::Payload;

use crate::{
    calls::{AwaitedCalls, Calls},
    case::Case,
    mock::Mock,
    request::{repeatable, unary},
};

pub(super) const CASES: &[Case] = &[
    Case::new("tower-timeout", || {
        let service = || Timeout::new(Mock::at_once(), TIMEOUT);
        Box::new(Calls::new(service, unary))
    })
    .over("empty"),
    // A request can be retried only if its body can be cloned, so these are over one that can.
    Case::new("tower-retry-budget", || {
        let service = || Retry::new(OnFailure::default(), Mock::at_once());
        Box::new(Calls::new(service, repeatable))
    })
    .over("capture"),
    Case::new("tower-p2c", || Box::new(Calls::new(p2c, unary))).over("empty"),
    Case::new("tower-buffer", || {
        let service = || Buffer::new(Mock::at_once(), BUFFER);
        Box::new(AwaitedCalls::new(service, unary))
    })
    .over("empty"),
    // A generated client's body has to be captured somehow; the stack gets our way for nothing.
    Case::new("diy-tower", || Box::new(AwaitedCalls::new(diy, repeatable))).over("empty"),
];

const TIMEOUT: Duration = Duration::from_secs(5);
const BUFFER: usize = 1024;
const RETRIES: u32 = 2;

type Node = PeakEwma<Mock>;

fn p2c<B>() -> Balance<ServiceList<Vec<Node>>, Request<B>>
where
    Mock: Service<Request<B>, Response = Response<tonic::body::Body>>,
    Node: Service<Request<B>>,
    <Node as Service<Request<B>>>::Error: Into<BoxError>,
{
    let nanoseconds_of_decay = 10e9;
    let node = || {
        PeakEwma::new(
            Mock::at_once(),
            Duration::from_millis(10),
            nanoseconds_of_decay,
            CompleteOnResponse::default(),
        )
    };
    Balance::new(ServiceList::new(vec![node(), node(), node()]))
}

fn diy()
-> impl Service<Request<Payload>, Response = Response<tonic::body::Body>, Error = BoxError> + Clone
{
    ServiceBuilder::new()
        .timeout(TIMEOUT)
        .retry(OnFailure::default())
        .buffer(BUFFER)
        .service(p2c())
}

/// Retries what was answered UNAVAILABLE, or not at all, within a budget.
#[derive(Clone)]
struct OnFailure {
    budget: Arc<TpsBudget>,
    left: u32,
}

impl Default for OnFailure {
    /// A fifth of the successes, and ten a second, over ten seconds: what our own budget allows.
    fn default() -> Self {
        let budget = TpsBudget::new(Duration::from_secs(10), 10, 0.2);
        Self {
            budget: Arc::new(budget),
            left: RETRIES,
        }
    }
}

impl<RB, E> Policy<Request<Payload>, Response<RB>, E> for OnFailure {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Payload>,
        answer: &mut Result<Response<RB>, E>,
    ) -> Option<Ready<()>> {
        if !failed(answer) {
            self.budget.deposit();
            return None;
        }
        let may_repeat = self.left > 0 && self.budget.withdraw();
        may_repeat.then(|| {
            self.left -= 1;
            ready(())
        })
    }

    fn clone_request(&mut self, request: &Request<Payload>) -> Option<Request<Payload>> {
        let mut again = Request::new(request.body().replay()?);
        *again.method_mut() = request.method().clone();
        *again.uri_mut() = request.uri().clone();
        *again.version_mut() = request.version();
        *again.headers_mut() = request.headers().clone();
        *again.extensions_mut() = request.extensions().clone();
        Some(again)
    }
}

fn failed<RB, E>(answer: &Result<Response<RB>, E>) -> bool {
    match answer {
        Ok(response) => {
            let status = response.headers().get("grpc-status");
            status.is_some_and(|status| status == "14")
        }
        Err(_) => true,
    }
}
