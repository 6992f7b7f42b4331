//! The clients that stand side by side: one file each, all of them [`Echo`].

mod generated_client;

mod ours;
mod plain;

mod ginepro;
mod volo;

mod diy;
mod resilience;

mod capture;

use std::{fmt, future::Future, net::SocketAddr, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::echo::Echo;

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Variant {
    /// One tonic `Channel` to each server, round robin by hand: the baseline.
    Bare,
    /// Two of them to each server.
    BareK2,
    /// Four of them.
    BareK4,
    /// `Channel::balance_list`.
    BalanceList,
    /// ginepro 0.9, on its tonic 0.13.
    Ginepro,
    /// tower by hand: timeout, retry with a budget, buffer, p2c over peak EWMA.
    DiyTower,
    /// tower-resilience 0.13: retry, and to each server a breaker and a time limiter.
    TowerResilience,
    /// volo-grpc 0.12.
    Volo,
    /// Ours over tonic's channel.
    TowerMicroTonic,
    /// Ours over our own connections.
    TowerMicroH2,
}

impl Variant {
    /// All, in the order of the tables.
    pub const ALL: &[Self] = &[
        Self::Bare,
        Self::BareK2,
        Self::BareK4,
        Self::BalanceList,
        Self::Ginepro,
        Self::DiyTower,
        Self::TowerResilience,
        Self::Volo,
        Self::TowerMicroTonic,
        Self::TowerMicroH2,
    ];

    /// As it is called in tables, in JSON and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::BareK2 => "bare-k2",
            Self::BareK4 => "bare-k4",
            Self::BalanceList => "balance-list",
            Self::Ginepro => "ginepro",
            Self::DiyTower => "diy-tower",
            Self::TowerResilience => "tower-resilience",
            Self::Volo => "volo",
            Self::TowerMicroTonic => "tower-micro-tonic",
            Self::TowerMicroH2 => "tower-micro-h2",
        }
    }

    /// Whether it is one of ours.
    pub fn is_ours(self) -> bool {
        self.name().starts_with("tower-micro")
    }

    /// Shows `guest` the client that makes calls to `nodes`. Nothing is dialled before the first of them.
    ///
    /// # Errors
    /// If it cannot be built, in its own words.
    pub async fn open<G: Guest>(
        self,
        nodes: &[SocketAddr],
        terms: Terms,
        guest: G,
    ) -> Result<G::Seen, Unbuilt> {
        let seen = match self {
            Self::Bare => guest.meet(plain::round_robin(nodes, 1, terms)).await,
            Self::BareK2 => guest.meet(plain::round_robin(nodes, 2, terms)).await,
            Self::BareK4 => guest.meet(plain::round_robin(nodes, 4, terms)).await,
            Self::BalanceList => guest.meet(plain::balance_list(nodes, terms)).await,
            Self::Ginepro => guest.meet(ginepro::client(nodes, terms).await?).await,
            Self::DiyTower => guest.meet(diy::client(nodes, terms)).await,
            Self::TowerResilience => guest.meet(resilience::client(nodes, terms)?).await,
            Self::Volo => guest.meet(volo::client(nodes, terms)).await,
            Self::TowerMicroTonic => {
                let connect = tower_micro::connect::Tonic::new();
                guest.meet(ours::client(nodes, terms, connect)?).await
            }
            Self::TowerMicroH2 => {
                let connect = tower_micro::connect::H2::new();
                guest.meet(ours::client(nodes, terms, connect)?).await
            }
        };
        Ok(seen)
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Variant {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let mut all = Self::ALL.iter().copied();
        all.find(|variant| variant.name() == name).ok_or(())
    }
}

impl From<Variant> for String {
    fn from(variant: Variant) -> Self {
        variant.name().into()
    }
}

impl TryFrom<String> for Variant {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let unknown = |()| format!("there is no variant {name:?}");
        name.parse().map_err(unknown)
    }
}

/// What is asked of every variant, each in its own way.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// For the whole of a call, of those that give calls a deadline.
    pub deadline: Duration,
    /// For the whole of a call, of those that have no policy of their own; `None`: it may last for ever.
    pub plain_deadline: Option<Duration>,
    /// Whether a call may be executed twice. Who cannot know never repeats one that is not.
    pub idempotent: bool,
}

/// Attempts of a call, of those that repeat.
const ATTEMPTS: u32 = 3;

/// For a connection to be there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Someone who works with a client, of whatever type.
pub trait Guest {
    /// What comes of it.
    type Seen;

    /// Works with it.
    fn meet<E: Echo>(self, echo: E) -> impl Future<Output = Self::Seen>;
}

/// A client that its library refuses to build.
#[derive(Debug, Error)]
#[error("cannot build it: {0}")]
pub struct Unbuilt(String);

impl Unbuilt {
    fn because(reason: impl fmt::Display) -> Self {
        Self(format!("{reason:#}"))
    }
}
