//! The full stack, as a user builds it, over a mock in place of the wire.

use std::time::Duration;

use tower::layer::util::{Identity, Stack};
use tower_micro::{
    CallOptions, Candidate, Channel, Client, ClientBuilder, Next, Picker, Preset, Selector,
    ServiceName,
    crates::selector::{SelectOptions, Selection},
    from_fn,
};

use super::{pass_through::PassThroughLayer, picks::registry};
use crate::{
    calls::Calls,
    case::Case,
    cost::Run,
    goal::Goal,
    mock::{Mock, MockConnect},
    request::unary,
};

pub(super) const CASES: &[Case] = &[
    Case::new("full", || calls(full)).over("empty").goal(
        Goal::nanoseconds(600.0)
            .allocations(6.0)
            .instructions(5_000.0),
    ),
    Case::new("full-timer", || calls(full_timer))
        .over("empty")
        .goal(Goal::nanoseconds(800.0)),
    Case::new("full-from-fn", || calls(full_from_fn)).over("empty"),
    Case::new("further-wrapper", || calls(further_wrapper))
        .over("full")
        .goal(Goal::nanoseconds(25.0).allocations(0.0)),
    Case::new("off", || calls(off)).over("empty"),
];

pub(super) fn calls(channel: fn() -> Channel) -> Box<dyn Run> {
    Box::new(Calls::new(channel, unary))
}

/// Everything on, with one call wrapper.
pub(super) fn full() -> Channel {
    channel(everything(Mock::at_once()).build())
}

fn full_timer() -> Channel {
    channel(everything(Mock::on_the_second_poll()).build())
}

fn full_from_fn() -> Channel {
    let wrapper = from_fn(|_, request, next: Next| async move { next.run(request).await });
    channel(everything(Mock::at_once()).wrap_call(wrapper).build())
}

fn further_wrapper() -> Channel {
    let everything = everything(Mock::at_once());
    channel(everything.wrap_call(PassThroughLayer).build())
}

pub(super) fn everything(
    mock: Mock,
) -> ClientBuilder<Identity, Stack<PassThroughLayer, Identity>, MockConnect> {
    Client::builder()
        .preset(Preset::Standard)
        .registry(registry(3))
        .connect(MockConnect(mock))
        .options(CallOptions::new().idempotent(true))
        .wrap_call(PassThroughLayer)
}

/// As much off as the builder can turn off: there is always a deadline, so it is far away.
fn off() -> Channel {
    let options = CallOptions::new().timeout(Duration::MAX).retries(0);
    let builder = Client::builder()
        .selector(OneNode::default())
        .connect(MockConnect(Mock::at_once()))
        .options(options);
    channel(builder.build())
}

pub(super) fn channel(client: Result<Client, tower_micro::BuildError>) -> Channel {
    client
        .expect("these settings can work")
        .channel(super::picks::greeter())
}

/// Every call goes to the same node, which is known beforehand.
#[derive(Debug)]
struct OneNode(Picker);

impl Default for OneNode {
    fn default() -> Self {
        Self(Picker::fixed(Candidate::at("10.0.0.1:8080")))
    }
}

impl Selector for OneNode {
    fn select(&self, _: &ServiceName, _: &SelectOptions) -> Selection {
        Selection::Ready(Ok(self.0.clone()))
    }

    fn name(&self) -> &'static str {
        "one node"
    }
}
