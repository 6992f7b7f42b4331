//! What happens to the nodes, and when.

use std::{io, net::SocketAddr, path::Path, thread::sleep};

use super::{
    NODES, SERVICE_TIME, Trial,
    network::{BEHIND, Cards, Dials},
    scenario::{Pace, Scenario},
};
use crate::{
    ledger,
    node::{Node, NodeOptions, Order, Unstarted},
};

/// Restarts of a rolling restart.
const RESTARTS: usize = 5;

/// When it happened, in microseconds since 1970, and what was dialled meanwhile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    pub(super) fault: u64,
    /// When healing began, which is when the dials were counted.
    pub(super) healing: u64,
    /// When it was done.
    pub(super) healed: u64,
    pub(super) end: u64,
    pub(super) dials: Dials,
}

/// The nodes of a run.
#[derive(Debug)]
pub(super) struct Stage {
    scenario: Scenario,
    nodes: Vec<Node>,
    cards: Option<Cards>,
}

impl Stage {
    /// Starts them, as the scenario wants them in the beginning.
    pub(super) fn set(trial: Trial, ledgers: &Path, core: Option<usize>) -> Result<Self, Unset> {
        let scenario = trial.scenario;
        let mut nodes = Vec::new();
        for place in 0..NODES {
            let first = place == 0;
            let isolated = first && scenario == Scenario::BlackHoleDrop;
            let listen = if isolated {
                SocketAddr::from(BEHIND)
            } else {
                SocketAddr::from(([127, 0, 0, 1], 0))
            };
            let options = NodeOptions {
                listen,
                service_time: SERVICE_TIME,
                ledger: Some(ledgers.join(place.to_string())),
                core,
                isolated,
            };
            let silent = first && scenario == Scenario::BlackHoleAccept;
            let start = if silent {
                Node::black_hole
            } else {
                Node::start
            };
            nodes.push(start(options)?);
        }
        let cards = match scenario {
            Scenario::BlackHoleDrop => Some(Cards::connect(nodes[0].id())?),
            _ => None,
        };
        Ok(Self {
            scenario,
            nodes,
            cards,
        })
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let mut addresses: Vec<_> = self.nodes.iter().map(Node::address).collect();
        if let Some(cards) = &self.cards {
            addresses[0] = cards.address();
        }
        addresses
    }

    /// Plays the scenario; callers call all the while.
    pub(super) fn play(&mut self, pace: Pace) -> Result<Marks, Unset> {
        // There is no calm where the fault is there from the beginning.
        if self.scenario != Scenario::BlackHoleAccept {
            sleep(pace.calm);
        }
        let (fault, before) = (ledger::now(), Dials::so_far()?);
        self.fail(pace)?;
        sleep(pace.of(self.scenario));
        // What a node that comes back is asked for is no longer part of the fault.
        let (healing, dials) = (ledger::now(), Dials::so_far()?.since(before));
        self.heal()?;
        let healed = ledger::now();
        sleep(pace.after);
        Ok(Marks {
            fault,
            healing,
            healed,
            end: ledger::now(),
            dials,
        })
    }

    fn fail(&mut self, pace: Pace) -> Result<(), Unset> {
        let first = &mut self.nodes[0];
        match self.scenario {
            Scenario::Kill9 => first.kill(),
            Scenario::GracefulStop => first.stop()?,
            Scenario::Sigstop => first.freeze()?,
            Scenario::BlackHoleAccept => {}
            Scenario::BlackHoleDrop => self.cards()?.cut()?,
            Scenario::AlwaysUnavailable => first.tell(Order::Unavailable),
            Scenario::Slow => first.tell(Order::Slow),
            Scenario::AllDown => self.nodes.iter_mut().for_each(Node::kill),
            Scenario::RollingRestart => self.roll(pace)?,
        }
        Ok(())
    }

    fn roll(&mut self, pace: Pace) -> Result<(), Unset> {
        for restart in 0..RESTARTS {
            let node = &mut self.nodes[restart % NODES];
            node.stop()?;
            sleep(pace.step);
            node.restart()?;
            sleep(pace.step);
        }
        Ok(())
    }

    fn heal(&mut self) -> Result<(), Unset> {
        let first = &mut self.nodes[0];
        match self.scenario {
            Scenario::Kill9 | Scenario::GracefulStop | Scenario::BlackHoleAccept => {
                first.restart()?;
            }
            Scenario::Sigstop => first.thaw()?,
            Scenario::BlackHoleDrop => self.cards()?.mend()?,
            Scenario::AlwaysUnavailable | Scenario::Slow => first.tell(Order::Well),
            Scenario::AllDown => {
                for node in &mut self.nodes {
                    node.restart()?;
                }
            }
            Scenario::RollingRestart => {}
        }
        Ok(())
    }

    fn cards(&self) -> io::Result<&Cards> {
        let none = || io::Error::other("there are no cards to this node");
        self.cards.as_ref().ok_or_else(none)
    }
}

/// A scenario that cannot be played.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unset {
    #[error(transparent)]
    Node(#[from] Unstarted),
    #[error(transparent)]
    System(#[from] io::Error),
}
