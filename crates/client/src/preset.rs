//! One behaviour, three sets of numbers.

use std::{sync::Arc, time::Duration};

use tower_micro_call::{CallOptions, Dialect};
use tower_micro_selector::{Health, Outlier, P2c, Random};

use crate::{
    PoolOptions,
    per_call::retry::{GoMicroBackoff, RetryBudget, RetryOnCodes, StandardBackoff, StandardPolicy},
};

/// Where the options of a client start from.
///
/// | | `Standard` | `GoMicroV2` | `GoMicroV4` |
/// |---|---|---|---|
/// | retries | 2 | 1 | 5 |
/// | timeout | 5 s | 5 s | 30 s |
/// | connect timeout | 5 s | 5 s | 5 s |
/// | retried | [`StandardPolicy`] | codes 408, 500 | code 408 |
/// | backoff | [`StandardBackoff`] | [`GoMicroBackoff`] | [`GoMicroBackoff`] |
/// | budget | [`RetryBudget`] | none | none |
/// | attempt timeout | a share of the call | none | none |
/// | strategy | [`P2c`], untried nodes first | [`Random`] | [`Random`] |
/// | health | [`Outlier`] | none | none |
/// | connections | 4 a node, 100 calls each, 1 idle; of a single node the second at 8 calls | 100, 20 calls each, 60 s, 50 idle | the same |
/// | errors | gRPC's | go-micro's, 500 where none came | go-micro's, translated |
///
/// The order of the layers, attempts = retries + 1, the questions put to backoff and predicate, and selection once per call are the
/// same in all three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preset {
    /// What we would choose.
    #[default]
    Standard,
    /// go-micro v2.9.1 with its gRPC client.
    GoMicroV2,
    /// go-micro v4.11 with the gRPC client of its plugins.
    GoMicroV4,
}

impl Preset {
    /// The options of a call that asks for nothing.
    pub fn options(self) -> CallOptions {
        match self {
            Self::Standard => CallOptions::new()
                .dialect(Dialect::Grpc)
                .timeout(Duration::from_secs(5))
                .connect_timeout(Duration::from_secs(5))
                .retries(2)
                .retry(StandardPolicy)
                .backoff(StandardBackoff)
                .budget(Arc::new(RetryBudget::default()))
                .strategy(P2c)
                .avoid_tried(true),
            Self::GoMicroV2 => go_micro()
                .dialect(Dialect::GoMicroV2)
                .timeout(Duration::from_secs(5))
                .retries(1)
                .retry(RetryOnCodes::GO_MICRO_V2),
            Self::GoMicroV4 => go_micro()
                .dialect(Dialect::GoMicroV4)
                .timeout(Duration::from_secs(30))
                .retries(5)
                .retry(RetryOnCodes::GO_MICRO_V4),
        }
    }

    /// How nodes that fail are kept out of the choice.
    pub fn health(self) -> Health {
        match self {
            Self::Standard => Health::Outlier(Outlier::default()),
            Self::GoMicroV2 | Self::GoMicroV4 => Health::None,
        }
    }

    /// How connections are kept.
    pub const fn pool(self) -> PoolOptions {
        match self {
            Self::Standard => PoolOptions {
                size: 4,
                ttl: None,
                max_streams: 100,
                max_idle: 1,
                second_at: Some(8),
            },
            Self::GoMicroV2 | Self::GoMicroV4 => PoolOptions {
                size: 100,
                ttl: Some(Duration::from_secs(60)),
                max_streams: 20,
                max_idle: 50,
                second_at: None,
            },
        }
    }
}

fn go_micro() -> CallOptions {
    CallOptions::new()
        .connect_timeout(Duration::from_secs(5))
        .backoff(GoMicroBackoff)
        .strategy(Random)
}
