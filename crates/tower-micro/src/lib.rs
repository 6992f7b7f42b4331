#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[doc(inline)]
pub use tower_micro_call::{
    Ambient, Attempt, Backoff, Body, BoxError, Budget, CallOptions, CallReport, CallWrapper,
    Context, Deadline, Dialect, Disposition, Error, Hedge, Kind, Metadata, Next, Notes, Payload,
    Proxy, Replay, RequestExt, ResponseBody, RetryContext, RetryPolicy, ambient, metadata, micro,
};
#[doc(inline)]
pub use tower_micro_client::{
    AttemptTimeoutLayer, BuildError, CallWrappersLayer, Channel, Client, ClientBuilder, Connect,
    DeadlineLayer, MetadataLayer, NodeTransport, Onion, OptionsLayer, OutcomeLayer, PickLayer,
    PoolOptions, Preset, RetryLayer, SelectLayer, Settings, connect, from_fn, per_call, wrap,
};
#[cfg(feature = "metrics")]
#[doc(inline)]
pub use tower_micro_metrics::{
    AttemptMetricsLayer, CallMetricsLayer, HandlerMetricsLayer, Measure,
};
#[cfg(feature = "memory")]
#[doc(inline)]
pub use tower_micro_registry::Memory;
#[doc(inline)]
pub use tower_micro_registry::{
    Cache, CacheOptions, Change, Endpoint, Node, RegisterOptions, Registry, Service, ServiceName,
    Static,
};
#[doc(inline)]
pub use tower_micro_selector::{
    Candidate, Fault, Filter, HashKey, Health, Mark, Outlier, P2c, PeakEwma, Picker, Random,
    RegistrySelector, RingHash, RoundRobin, RoundRobinShared, SelectError, Selector, Strategy,
    Weighted,
};
#[cfg(feature = "server")]
#[doc(inline)]
pub use tower_micro_server::{Handlers, InboundLayer, handlers};
#[cfg(feature = "trace")]
#[doc(inline)]
pub use tower_micro_trace::{
    AttemptTraceLayer, Attempts, CallTraceLayer, Format, HandlerTraceLayer, HttpCallTraceLayer,
    HttpHandlerTraceLayer, Names, Propagation,
};

/// The parts, each with everything it has.
pub mod crates {
    pub use tower_micro_call as call;
    pub use tower_micro_client as client;
    #[cfg(feature = "metrics")]
    pub use tower_micro_metrics as metrics;
    #[cfg(any(feature = "metrics", feature = "trace"))]
    pub use tower_micro_observe as observe;
    pub use tower_micro_registry as registry;
    pub use tower_micro_selector as selector;
    #[cfg(feature = "server")]
    pub use tower_micro_server as server;
    #[cfg(feature = "trace")]
    pub use tower_micro_trace as trace;
}

/// The code in the README of the whole is compiled too.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;

/// So is the code in the page on observability.
#[cfg(all(doctest, feature = "trace", feature = "metrics-otel"))]
#[doc = include_str!("../../../docs/observability.md")]
pub struct Observability;
