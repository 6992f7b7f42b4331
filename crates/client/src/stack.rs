//! The page of the order: one layer a line, outermost first, with the reason it stands there.
//!
//! Nothing else puts layers together. `table` says the same in words, for [`Onion`](crate::Onion); a test holds the two against
//! each other.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tower::ServiceBuilder;
use tower_layer::Layer;
use tower_micro_call::{Proxy, ReplayMemory};
use tower_micro_registry::ServiceName;
use tower_micro_selector::Selector;

use crate::{
    AttemptTimeoutLayer, CallWrappersLayer, Connect, DeadlineLayer, MetadataLayer, NodeTransport,
    OptionsLayer, OutcomeLayer, PickLayer, RetryLayer, SelectLayer, Settings,
    onion::{Line, Ring},
    per_call::{
        deadline::Deadlined,
        options::Options,
        per_attempt::{
            metadata::WriteMetadata, outcome::Outcome, pick::Pick, timeout::AttemptTimeout,
            wrappers::CallWrappers,
        },
        retry::Retry,
        select::Select,
    },
};

/// What call wrappers are put around.
pub type Attempt<K> = CallWrappers<AttemptTimeout<WriteMetadata<Outcome<NodeTransport<K>>>>>;

/// What client wrappers are put around; `A` is an attempt inside of its call wrappers.
pub type Call<A> = Options<Select<Deadlined<Retry<Pick<A>>>>>;

/// What a stack is made of besides the layers themselves.
#[derive(Clone, Debug)]
pub(crate) struct Parts<K> {
    pub(crate) settings: Arc<ArcSwap<Settings>>,
    pub(crate) selector: Arc<dyn Selector>,
    pub(crate) proxy: Proxy,
    pub(crate) memory: Arc<ReplayMemory>,
    pub(crate) connect: Arc<K>,
}

/// The whole onion for calls to `service`.
pub(crate) fn assemble<W, C, K>(
    parts: &Parts<K>,
    service: ServiceName,
    wrap_client: &W,
    wrap_call: &C,
) -> W::Service
where
    W: Layer<Call<C::Service>>,
    C: Layer<Attempt<K>, Service: Clone>,
    K: Connect,
{
    let selector = &parts.selector;
    let select = SelectLayer::new(Arc::clone(selector), service).with_proxy(parts.proxy.clone());
    let settings = Arc::clone(&parts.settings);
    ServiceBuilder::new()
        // per call
        .layer(wrap_client)
        .layer(OptionsLayer::live(Arc::clone(&settings)))
        .layer(select)
        .layer(DeadlineLayer::new())
        .layer(RetryLayer::new().with_memory(Arc::clone(&parts.memory)))
        // per attempt
        .layer(PickLayer::marking(Arc::clone(selector)).over_outcomes())
        .layer(wrap_call)
        .layer(CallWrappersLayer::new())
        .layer(AttemptTimeoutLayer::new())
        .layer(MetadataLayer::new())
        .layer(OutcomeLayer::new())
        // per node
        .service(NodeTransport::live(Arc::clone(&parts.connect), settings))
}

/// The same in words; `client` and `call` are the names of the wrappers, outermost first.
pub(crate) fn table(client: &[String], call: &[String]) -> Vec<Line> {
    use Ring::{Attempt, Call, Node};
    let ours = |ring, name, why| vec![Line::new(ring, name, why)];
    let yours = |ring, names: &[String], why| -> Vec<Line> {
        names
            .iter()
            .map(|name| Line::new(ring, name, why))
            .collect()
    };
    [
        yours(Call, client, "yours, by wrap_client or wrap"),
        ours(
            Call,
            "options",
            "settles what the call asks for, and its deadline",
        ),
        ours(
            Call,
            "select",
            "one set of nodes for the whole call; its failure is not retried",
        ),
        ours(
            Call,
            "deadline",
            "one end for all attempts; looked at after selection",
        ),
        ours(Call, "retry", "backoff, attempt, predicate, again"),
        ours(
            Attempt,
            "pick",
            "the node of this attempt; marked with what wrappers return",
        ),
        yours(Attempt, call, "yours, by wrap_call"),
        ours(
            Attempt,
            "call wrappers",
            "those that options carry; inside of yours",
        ),
        ours(
            Attempt,
            "attempt timeout",
            "a share of the time, so that another node can have one",
        ),
        ours(
            Attempt,
            "metadata",
            "headers; the node is told how long it has",
        ),
        ours(Attempt, "outcome", "how it ended, as a value"),
        ours(Node, "transport", "the node's pool, a connection, the wire"),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use tower_layer::Identity;

    use super::*;
    use crate::connect::Tonic;

    /// The names of our services in the type that [`assemble`] returns, outermost first.
    fn names_in_type() -> Vec<&'static str> {
        type Assembled = <Identity as Layer<Call<Attempt<Tonic>>>>::Service;
        let name = std::any::type_name::<Assembled>();
        let services = name
            .split('<')
            .map(|part| part.rsplit("::").next().unwrap());
        services.filter(|part| !part.starts_with("Tonic")).collect()
    }

    #[test]
    fn the_words_follow_the_types() {
        let expected = [
            ("options", "Options"),
            ("select", "Select"),
            ("deadline", "Deadlined"),
            ("retry", "Retry"),
            ("pick", "Pick"),
            ("call wrappers", "CallWrappers"),
            ("attempt timeout", "AttemptTimeout"),
            ("metadata", "WriteMetadata"),
            ("outcome", "Outcome"),
            ("transport", "NodeTransport"),
        ];
        let lines = table(&[], &[]);
        let words: Vec<_> = lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(words, expected.map(|(word, _)| word));
        assert_eq!(names_in_type(), expected.map(|(_, service)| service));
    }
}
