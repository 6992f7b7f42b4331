//! What becomes of calls when the collector of their spans does not do well.
//!
//! Calls over loopback, traced, whose spans go to one collector after the other in each round: one that is well, a closed port, one that
//! answers slowly, one that accepts and never answers, and none. A round is compared with the round of the collector that is well
//! beside it, since a machine that is busy is so for all of them.

mod node;
mod other_end;
mod telemetry;

use std::{io, thread, time::Duration};

use http::Request;
use http_body_util::BodyExt;
use tokio::{task::JoinSet, time::Instant};
use tower::{Service, ServiceExt};
use tower_micro::{AttemptTraceLayer, Attempts, CallTraceLayer, Channel, Client, Preset, Static};

pub use other_end::OtherEnd;
use telemetry::Telemetry;

use crate::{
    measure::{at, sorted},
    request::unary,
};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Rounds over all collectors.
    pub rounds: usize,
    /// Calls in a round, of all callers together.
    pub calls: usize,
}

/// Callers at a time; each rests after each of its calls, so that the processors have something left.
const CALLERS: usize = 4;
const REST: Duration = Duration::from_millis(1);

/// What calls of a round took.
#[derive(Clone, Copy, Debug)]
struct Round {
    p50: f64,
    p99: f64,
}

/// One line of the table: medians over the rounds.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The collector.
    pub other_end: OtherEnd,
    /// Microseconds.
    pub p50: f64,
    /// Microseconds.
    pub p99: f64,
    /// Over the round with the collector that is well.
    pub p50_ratio: f64,
    /// The same.
    pub p99_ratio: f64,
}

/// A row for each collector, the one that is well first.
///
/// # Errors
/// If nothing can listen.
pub fn measure(plan: Plan) -> io::Result<Vec<Row>> {
    let address = node::start()?;
    let ends: Vec<_> = OtherEnd::ALL
        .into_iter()
        .map(|end| Ok((end, Telemetry::to(end.start()?))))
        .collect::<io::Result<_>>()?;
    let runtime = crate::calls::runtime_with_io();
    let channel = runtime.block_on(async {
        let channel = channel(&address.to_string());
        calls(&channel, 200).await;
        channel
    });
    let mut rounds = vec![Vec::new(); ends.len()];
    for round in 0..plan.rounds {
        for turn in 0..ends.len() {
            let place = (round + turn) % ends.len();
            let _recorded = ends[place].1.begin();
            rounds[place].push(runtime.block_on(calls(&channel, plan.calls)));
            // What was begun by the one before is not to be found by the next.
            thread::sleep(Duration::from_millis(20));
        }
    }
    let row = |place: usize| Row::of(ends[place].0, &rounds[place], &rounds[0]);
    Ok((0..ends.len()).map(row).collect())
}

impl Row {
    fn of(other_end: OtherEnd, own: &[Round], well: &[Round]) -> Self {
        let median = |of: fn(&Round) -> f64| at(&sorted(own.iter().map(of)), 0.5);
        let ratio = |of: fn(&Round) -> f64| {
            let ratios = own.iter().zip(well).map(|(own, well)| of(own) / of(well));
            at(&sorted(ratios), 0.5)
        };
        Self {
            other_end,
            p50: median(|round| round.p50),
            p99: median(|round| round.p99),
            p50_ratio: ratio(|round| round.p50),
            p99_ratio: ratio(|round| round.p99),
        }
    }
}

fn channel(address: &str) -> Channel {
    let nodes = Static::addresses("greeter", [address]).expect("it is host:port");
    let client = Client::builder()
        .preset(Preset::Standard)
        .registry(nodes)
        .wrap_client(CallTraceLayer::new())
        .wrap_call(AttemptTraceLayer::new().attempts(Attempts::Always))
        .build();
    client.expect("these settings can work").channel("greeter")
}

async fn calls(channel: &Channel, calls: usize) -> Round {
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn(caller(channel.clone(), calls / CALLERS));
    }
    let times = callers.join_all().await.concat();
    let times = sorted(times.into_iter());
    Round {
        p50: at(&times, 0.5),
        p99: at(&times, 0.99),
    }
}

async fn caller(mut channel: Channel, calls: usize) -> Vec<f64> {
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let began = Instant::now();
        call(&mut channel, unary()).await;
        times.push(began.elapsed().as_nanos() as f64 / 1_000.0);
        tokio::time::sleep(REST).await;
    }
    times
}

async fn call(channel: &mut Channel, request: Request<tonic::body::Body>) {
    let channel = channel.ready().await.expect("it is always ready");
    let answer = channel.call(request).await.expect("the node answers");
    let body = answer.into_body().collect().await.expect("to the end");
    let trailers = body.trailers().expect("with trailers");
    assert_eq!(trailers["grpc-status"], "0");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_compared_with_the_one_beside_it() {
        let round = |p99| Round { p50: 1.0, p99 };
        let well = [10.0, 100.0, 20.0].map(round);
        // Once everything was slow: that is no fault of the collector.
        let own = [11.0, 110.0, 20.0].map(round);
        let row = Row::of(OtherEnd::Slow, &own, &well);
        assert!((row.p99_ratio - 1.1).abs() < 1e-9 && row.p50_ratio == 1.0);
        assert_eq!((row.p50, row.p99), (1.0, 20.0));
    }
}
