//! What can happen to a node.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// A fault, and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Scenario {
    /// One node is killed, and started again.
    Kill9,
    /// One node sends GOAWAY, finishes and ends; it is started again.
    GracefulStop,
    /// One node stands still for ten seconds. Its connections stay, and its system goes on accepting.
    Sigstop,
    /// One node accepts connections and says nothing, from the beginning.
    BlackHoleAccept,
    /// No packet comes through to one node or from it, and nobody says so.
    BlackHoleDrop,
    /// One node answers every call with UNAVAILABLE.
    AlwaysUnavailable,
    /// One node takes ten times as long.
    Slow,
    /// All nodes are killed, and started again after ten seconds.
    AllDown,
    /// One node after the other is stopped as in [`GracefulStop`](Self::GracefulStop) and started again, five times.
    RollingRestart,
}

impl Scenario {
    /// All, in the order of the tables.
    pub const ALL: &[Self] = &[
        Self::Kill9,
        Self::GracefulStop,
        Self::Sigstop,
        Self::BlackHoleAccept,
        Self::BlackHoleDrop,
        Self::AlwaysUnavailable,
        Self::Slow,
        Self::AllDown,
        Self::RollingRestart,
    ];

    /// As it is called in tables, in JSON and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kill9 => "kill-9",
            Self::GracefulStop => "graceful-stop",
            Self::Sigstop => "sigstop-10s",
            Self::BlackHoleAccept => "black-hole-accept",
            Self::BlackHoleDrop => "black-hole-drop",
            Self::AlwaysUnavailable => "always-unavailable",
            Self::Slow => "slow-10x",
            Self::AllDown => "all-down-10s",
            Self::RollingRestart => "rolling-restart-5",
        }
    }

    /// The nodes that something happens to.
    pub const fn faulty(self) -> usize {
        match self {
            Self::AllDown | Self::RollingRestart => super::NODES,
            _ => 1,
        }
    }

    /// Whether its name says how long it lasts.
    pub const fn is_long(self) -> bool {
        matches!(self, Self::Sigstop | Self::AllDown)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Scenario {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let mut all = Self::ALL.iter().copied();
        all.find(|scenario| scenario.name() == name).ok_or(())
    }
}

impl From<Scenario> for String {
    fn from(scenario: Scenario) -> Self {
        scenario.name().into()
    }
}

impl TryFrom<String> for Scenario {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let unknown = |()| format!("there is no scenario {name:?}");
        name.parse().map_err(unknown)
    }
}

/// How long each part of a run lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Before anything happens.
    pub calm: Duration,
    /// Of a fault that does not say how long it is.
    pub fault: Duration,
    /// Of one that does.
    pub long_fault: Duration,
    /// With everything well again.
    pub after: Duration,
    /// Between two steps of a rolling restart.
    pub step: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            calm: Duration::from_secs(1),
            fault: Duration::from_millis(2_500),
            long_fault: Duration::from_secs(10),
            after: Duration::from_secs(3),
            step: Duration::from_millis(400),
        }
    }
}

impl Pace {
    /// To see whether everything works; what lasts ten seconds lasts three.
    pub fn quick() -> Self {
        Self {
            fault: Duration::from_millis(1_500),
            long_fault: Duration::from_secs(3),
            after: Duration::from_millis(1_500),
            ..Self::default()
        }
    }

    /// How long `scenario` lasts once it has begun. Of a rolling restart nothing is left then.
    pub const fn of(&self, scenario: Scenario) -> Duration {
        match scenario {
            Scenario::RollingRestart => Duration::ZERO,
            scenario if scenario.is_long() => self.long_fault,
            _ => self.fault,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_found_by_its_name() {
        for scenario in Scenario::ALL {
            assert_eq!(scenario.name().parse(), Ok(*scenario));
        }
        assert!("meteor".parse::<Scenario>().is_err());
    }
}
