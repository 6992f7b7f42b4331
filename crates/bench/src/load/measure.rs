//! Rounds in which the variants take turns, so that whatever the machine does besides hits all of them alike.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use thiserror::Error;
use tokio::runtime::{Builder, Runtime};

use super::{
    COUNTED_IN_FLIGHT, COUNTED_PAYLOAD, Extent, Load, Plan, Round, Row, case, prepare, servers,
};
use crate::{
    instructions::Instructions,
    measure::{at, sorted},
    node::{Node, Unstarted},
    peers::{Unbuilt, Variant},
    pin::Pinned,
};

/// Calls of each caller before anything is measured: connections are there, caches are warm.
const WARM_UP: u64 = 50;

/// A measurement that cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Unmeasured {
    /// A server does not come up.
    #[error(transparent)]
    Server(#[from] Unstarted),
    /// A client cannot be built.
    #[error("{variant}: {source}")]
    Client {
        /// Whose.
        variant: Variant,
        /// Why.
        source: Unbuilt,
    },
    /// Not one call of the baseline was answered.
    #[error("nobody answers {0} at all")]
    Silence(Variant),
}

/// The rows of `plan`; `progress` is told before each setting.
///
/// # Errors
/// [`Unmeasured`].
pub fn measure(
    plan: &Plan,
    pinned: Pinned,
    counts: &Instructions,
    mut progress: impl FnMut(String),
) -> Result<Vec<Row>, Unmeasured> {
    let runtime = runtime();
    let mut rows = Vec::new();
    for &count in &plan.servers {
        let nodes = servers(count, pinned)?;
        let addresses: Vec<_> = nodes.iter().map(Node::address).collect();
        let clients = clients(&plan.variants, &addresses, &runtime)?;
        for (&in_flight, &payload) in plan
            .in_flight
            .iter()
            .flat_map(|in_flight| plan.payload.iter().map(move |payload| (in_flight, payload)))
        {
            progress(format!(
                "{count} servers, {in_flight} in flight, {payload} bytes"
            ));
            let setting = Setting {
                servers: count,
                in_flight,
                payload,
            };
            let measured = setting.rounds(&clients, plan, &runtime)?;
            rows.extend(
                measured
                    .iter()
                    .map(|measured| measured.row(setting, counts)),
            );
        }
    }
    Ok(rows)
}

/// One thread: what is allocated is counted by thread, and the client has one processor anyway.
pub(super) fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_all().build();
    runtime.expect("sockets and timers are there")
}

type Client = (Variant, Box<dyn Load>);

fn clients(
    variants: &[Variant],
    nodes: &[SocketAddr],
    runtime: &Runtime,
) -> Result<Vec<Client>, Unmeasured> {
    let client = |&variant: &Variant| match prepare(variant, nodes, runtime) {
        Ok(load) => Ok((variant, load)),
        Err(source) => Err(Unmeasured::Client { variant, source }),
    };
    variants.iter().map(client).collect()
}

#[derive(Clone, Copy, Debug)]
struct Setting {
    servers: usize,
    in_flight: usize,
    payload: usize,
}

impl Setting {
    fn rounds(
        self,
        clients: &[Client],
        plan: &Plan,
        runtime: &Runtime,
    ) -> Result<Vec<Measured>, Unmeasured> {
        let payload = Bytes::from(vec![b'x'; self.payload]);
        let run = |client: &dyn Load, extent| client.run(runtime, self.in_flight, &payload, extent);
        let mut measured: Vec<_> = clients
            .iter()
            .map(|(variant, client)| {
                run(&**client, Extent::Calls(WARM_UP * self.in_flight as u64));
                let callers = run(&**client, Extent::Calls(0)).cost.allocations;
                Measured::new(*variant, callers)
            })
            .collect();
        let time = Extent::Time(Duration::from_millis(plan.millis));
        for round in 0..plan.rounds as usize {
            // Not always the same one first.
            let turns = (0..clients.len()).map(|turn| (turn + round) % clients.len());
            for turn in turns {
                measured[turn].rounds.push(run(&*clients[turn].1, time));
            }
        }
        compare(&mut measured)?;
        Ok(measured)
    }
}

/// The rounds of one variant.
struct Measured {
    variant: Variant,
    /// What starting the callers allocates.
    callers: u64,
    rounds: Vec<Round>,
    ratios: Vec<f64>,
}

/// Each round against the same one of the first variant, which is the baseline.
fn compare(measured: &mut [Measured]) -> Result<(), Unmeasured> {
    let Some(base) = measured.first() else {
        return Ok(());
    };
    let rates: Vec<_> = base.rounds.iter().map(rate).collect();
    if rates.contains(&0.0) {
        return Err(Unmeasured::Silence(base.variant));
    }
    for measured in measured {
        let rounds = measured.rounds.iter().zip(&rates);
        measured.ratios = rounds.map(|(round, base)| rate(round) / base).collect();
    }
    Ok(())
}

fn rate(round: &Round) -> f64 {
    round.latencies.len() as f64 / round.cost.time.as_secs_f64()
}

impl Measured {
    const fn new(variant: Variant, callers: u64) -> Self {
        Self {
            variant,
            callers,
            rounds: Vec::new(),
            ratios: Vec::new(),
        }
    }

    fn row(&self, setting: Setting, counts: &Instructions) -> Row {
        let latencies = self.rounds.iter().flat_map(|round| &round.latencies);
        let latencies = sorted(latencies.map(|&nanoseconds| f64::from(nanoseconds) / 1e3));
        let counted = setting.in_flight == COUNTED_IN_FLIGHT && setting.payload == COUNTED_PAYLOAD;
        let count = counts.get(&case(self.variant, setting.servers)).copied();
        Row {
            variant: self.variant,
            servers: setting.servers,
            in_flight: setting.in_flight,
            payload: setting.payload,
            calls_per_s: median(self.rounds.iter().map(rate)),
            ratio_to_bare: median(self.ratios.iter().copied()),
            p50_us: at(&latencies, 0.5),
            p99_us: at(&latencies, 0.99),
            allocations: median(self.rounds.iter().map(|round| self.allocations(round))),
            instructions: count.filter(|_| counted),
            errors: self.rounds.iter().map(|round| round.errors).sum(),
        }
    }

    fn allocations(&self, round: &Round) -> f64 {
        let own = round.cost.allocations.saturating_sub(self.callers);
        own as f64 / round.calls().max(1) as f64
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    at(&sorted(values), 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Cost;

    fn round(calls: usize, allocations: u64) -> Round {
        Round {
            cost: Cost {
                time: Duration::from_secs(1),
                allocations,
            },
            latencies: vec![1_000; calls],
            errors: 0,
        }
    }

    fn measured(variant: Variant, calls: &[usize]) -> Measured {
        let mut measured = Measured::new(variant, 10);
        measured.rounds = calls.iter().map(|&calls| round(calls, 510)).collect();
        measured
    }

    const SETTING: Setting = Setting {
        servers: 3,
        in_flight: COUNTED_IN_FLIGHT,
        payload: COUNTED_PAYLOAD,
    };

    #[test]
    fn a_round_is_compared_with_the_same_round_of_the_baseline() {
        // The machine was half as fast in the second round, for both.
        let mut both = [
            measured(Variant::Bare, &[100, 50, 100]),
            measured(Variant::Volo, &[80, 40, 90]),
        ];
        compare(&mut both).unwrap();
        let row = both[1].row(SETTING, &Instructions::new());
        assert_eq!(row.ratio_to_bare, 0.8);
        assert_eq!(row.calls_per_s, 80.0);
        assert_eq!(row.p50_us, 1.0);
    }

    #[test]
    fn starting_the_callers_is_not_a_cost_of_the_calls() {
        let row = measured(Variant::Bare, &[100]).row(SETTING, &Instructions::new());
        assert_eq!(row.allocations, 5.0);
    }

    #[test]
    fn instructions_stand_only_where_they_were_counted() {
        let counts = Instructions::from([("bare/3".to_owned(), 77_000.0)]);
        let bare = measured(Variant::Bare, &[100]);
        assert_eq!(bare.row(SETTING, &counts).instructions, Some(77_000.0));
        let other = Setting {
            in_flight: 64,
            ..SETTING
        };
        assert_eq!(bare.row(other, &counts).instructions, None);
    }

    #[test]
    fn a_baseline_that_nobody_answers_is_no_baseline() {
        let mut silent = [measured(Variant::Bare, &[100, 0])];
        assert!(matches!(
            compare(&mut silent),
            Err(Unmeasured::Silence(Variant::Bare))
        ));
    }
}
