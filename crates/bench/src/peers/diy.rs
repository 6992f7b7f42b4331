//! The stack that users build of tower by hand.

use std::{
    future::{Ready, ready},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use http::{Request, Response};
use tower::{
    ServiceBuilder, ServiceExt,
    balance::p2c::Balance,
    discover::ServiceList,
    load::{CompleteOnResponse, PeakEwma},
    retry::{
        Policy,
        budget::{Budget, TpsBudget},
    },
};

use super::{
    ATTEMPTS, Terms,
    capture::{Repeatable, captured, failed, released},
    generated_client::Generated,
    plain::channel,
};
use crate::echo::Echo;

const BUFFER: usize = 1024;
const FIRST_GUESS: Duration = Duration::from_millis(10);
const NANOSECONDS_OF_DECAY: f64 = 10e9;

/// Timeout, retry with a budget, buffer, p2c over peak EWMA.
pub(super) fn client(nodes: &[SocketAddr], terms: Terms) -> impl Echo + use<> {
    let node = |node: &SocketAddr| {
        let channel = channel(*node).map_request(released);
        let measured = CompleteOnResponse::default();
        PeakEwma::new(channel, FIRST_GUESS, NANOSECONDS_OF_DECAY, measured)
    };
    let nodes: Vec<_> = nodes.iter().map(node).collect();
    let stack = ServiceBuilder::new()
        .map_request(captured)
        .timeout(terms.deadline)
        .retry(OnFailure::new(terms.idempotent))
        .buffer(BUFFER)
        .service(Balance::new(ServiceList::new(nodes)));
    Generated::over(stack, None)
}

/// Retries what was answered UNAVAILABLE, or not at all, within a budget.
#[derive(Clone)]
struct OnFailure {
    budget: Arc<TpsBudget>,
    left: u32,
}

impl OnFailure {
    /// A fifth of the successes, and ten a second, over ten seconds: what our own budget allows.
    fn new(idempotent: bool) -> Self {
        let budget = TpsBudget::new(Duration::from_secs(10), 10, 0.2);
        Self {
            budget: Arc::new(budget),
            left: if idempotent { ATTEMPTS - 1 } else { 0 },
        }
    }
}

impl<RB, E> Policy<Request<Repeatable>, Response<RB>, E> for OnFailure {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Repeatable>,
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

    fn clone_request(&mut self, request: &Request<Repeatable>) -> Option<Request<Repeatable>> {
        Some(request.clone())
    }
}
