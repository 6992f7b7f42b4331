//! What the callers saw and the ledgers say, as figures.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    Figures, NODES, Trial,
    callers::{Ended, Failure},
    scenario::Scenario,
    script::Marks,
};
use crate::{
    ledger::{Kind, Record},
    measure::{at, sorted},
};

/// Microseconds over which a node's share is looked at, and how far apart such looks begin.
const SHARE_WINDOW: u64 = 200_000;
const SHARE_STEP: u64 = 50_000;

/// Of a fair share, to be back.
const BACK: f64 = 0.9;

/// Part of the calm in which connections are made.
const SETTLING: u64 = 300_000;

type Ledgers = [Vec<Record>];

pub(super) fn figures(trial: Trial, ended: &[Ended], ledgers: &Ledgers, marks: Marks) -> Figures {
    let during: Vec<_> = ended
        .iter()
        .filter(|call| call.at() >= marks.fault && call.began < marks.healing)
        .collect();
    let took = sorted(during.iter().map(|call| call.took as f64));
    // Whenever they were: those of a call that was under way when it happened are in part before the fault.
    let ids: HashSet<_> = during.iter().map(|call| call.id).collect();
    let in_fault = |record: &&Record| ids.contains(&record.id);
    let attempts = attempts(ledgers).filter(in_fault).count() as u64;
    let seconds = (marks.healing - marks.fault) as f64 / 1e6;
    Figures {
        calls: ended.len() as u64,
        failed: ended.iter().filter(|call| call.failure.is_some()).count() as u64,
        duplicates: duplicates(ledgers),
        p50_us: at(&took, 0.5),
        p99_us: at(&took, 0.99),
        max_us: took.last().copied().unwrap_or_default(),
        amplification: over((attempts + marks.dials.failed) as f64, during.len() as f64),
        dials_per_s: marks.dials.begun as f64 / seconds / trial.scenario.faulty() as f64,
        fault_s: seconds,
        recovered_ms: recovered(trial.scenario, ended, ledgers, marks),
        calm_p99_us: calm(ended, marks),
        codes: codes(ended),
        failure: ended
            .iter()
            .find_map(|call| call.failure.as_ref())
            .map(text),
    }
}

fn over(value: f64, of: f64) -> f64 {
    if of > 0.0 { value / of } else { 0.0 }
}

fn attempts(ledgers: &Ledgers) -> impl Iterator<Item = &Record> {
    let all = ledgers.iter().flatten();
    all.filter(|record| record.kind != Kind::Accepted)
}

/// Executions beyond the first of each call, wherever they were.
fn duplicates(ledgers: &Ledgers) -> u64 {
    let mut executions: HashMap<u64, u64> = HashMap::new();
    for record in attempts(ledgers).filter(|record| record.kind == Kind::Executed) {
        *executions.entry(record.id).or_default() += 1;
    }
    executions.values().map(|times| times - 1).sum()
}

fn calm(ended: &[Ended], marks: Marks) -> Option<f64> {
    let first = ended.iter().map(|call| call.began).min()?;
    let calm = |call: &&Ended| call.began > first + SETTLING && call.at() < marks.fault;
    let took = sorted(ended.iter().filter(calm).map(|call| call.took as f64));
    (!took.is_empty()).then(|| at(&took, 0.99))
}

/// Milliseconds from when healing was done to when each node that had failed has most of its share of the calls again.
///
/// Only calls that began after that count: a node that stood still executes at once what has piled up.
fn recovered(scenario: Scenario, ended: &[Ended], ledgers: &Ledgers, marks: Marks) -> Option<f64> {
    let failed: &[usize] = match scenario {
        Scenario::AllDown | Scenario::RollingRestart => &[0, 1, 2],
        _ => &[0],
    };
    let later = ended.iter().filter(|call| call.began >= marks.healed);
    let later: HashSet<u64> = later.map(|call| call.id).collect();
    let mut begin = marks.healed;
    while begin + SHARE_WINDOW <= marks.end {
        let shares: Vec<_> = ledgers
            .iter()
            .map(|ledger| executed(ledger, begin, &later))
            .collect();
        let fair = shares.iter().sum::<usize>() as f64 / NODES as f64;
        let back = |place: &usize| shares[*place] > 0 && shares[*place] as f64 >= BACK * fair;
        if failed.iter().all(back) {
            return Some((begin - marks.healed) as f64 / 1e3);
        }
        begin += SHARE_STEP;
    }
    None
}

fn executed(ledger: &[Record], begin: u64, calls: &HashSet<u64>) -> usize {
    let window = begin..begin + SHARE_WINDOW;
    let executed = |record: &&Record| record.kind == Kind::Executed;
    let counts = |record: &&Record| window.contains(&record.at) && calls.contains(&record.id);
    ledger.iter().filter(executed).filter(counts).count()
}

fn codes(ended: &[Ended]) -> BTreeMap<String, u64> {
    let mut codes = BTreeMap::new();
    for failure in ended.iter().filter_map(|call| call.failure.as_ref()) {
        *codes.entry(code(failure)).or_default() += 1;
    }
    codes
}

fn code(failure: &Failure) -> String {
    match failure {
        Failure::Status(status) => format!("{:?}", status.code()),
        Failure::Mistaken => "mistaken".into(),
        Failure::Hung => "hung".into(),
    }
}

fn text(failure: &Failure) -> String {
    match failure {
        Failure::Status(status) => format!("{:?}: {}", status.code(), status.message()),
        other => code(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{faults::network::Dials, peers::Variant};

    const SECOND: u64 = 1_000_000;

    /// A fault from the first second to the second, and two seconds after it.
    const MARKS: Marks = Marks {
        fault: SECOND,
        healing: 2 * SECOND,
        healed: 2 * SECOND,
        end: 4 * SECOND,
        dials: Dials {
            begun: 4,
            failed: 3,
        },
    };

    const TRIAL: Trial = Trial {
        scenario: Scenario::Kill9,
        variant: Variant::Bare,
        idempotent: true,
    };

    fn executed_at(id: u64, at: u64) -> Record {
        let kind = Kind::Executed;
        Record { id, at, kind }
    }

    fn call(began: u64, took: u64) -> Ended {
        Ended {
            id: began,
            began,
            took,
            failure: None,
        }
    }

    #[test]
    fn a_call_that_two_nodes_executed_is_a_duplicate() {
        let ledgers = [
            vec![executed_at(1, 5), executed_at(2, 6)],
            vec![
                executed_at(1, 7),
                Record {
                    id: 2,
                    at: 8,
                    kind: Kind::Refused,
                },
            ],
        ];
        assert_eq!(duplicates(&ledgers), 1);
    }

    #[test]
    fn refused_connections_are_attempts_too() {
        let ended = [
            call(SECOND + 1, 10),
            call(SECOND + 2, 10),
            call(3 * SECOND, 99),
        ];
        let ledgers = [
            vec![
                executed_at(SECOND + 1, SECOND + 5),
                executed_at(3 * SECOND, 3 * SECOND),
            ],
            vec![],
            vec![],
        ];
        let figures = figures(TRIAL, &ended, &ledgers, MARKS);
        assert_eq!(figures.amplification, 2.0);
        assert_eq!(figures.dials_per_s, 4.0);
        assert_eq!((figures.calls, figures.max_us), (3, 10.0));
    }

    #[test]
    fn an_attempt_belongs_to_the_fault_if_its_call_does() {
        let accepted = Record {
            kind: Kind::Accepted,
            ..executed_at(0, SECOND + 7)
        };
        let ended = [
            call(SECOND - 10, 50),
            call(SECOND - 99, 5),
            call(2 * SECOND - 5, 50),
        ];
        let ledgers = [
            vec![executed_at(SECOND - 10, SECOND - 5), accepted],
            vec![executed_at(SECOND - 99, SECOND - 98)],
            vec![executed_at(2 * SECOND - 5, 2 * SECOND + 5)],
        ];
        let marks = Marks {
            dials: Dials::default(),
            ..MARKS
        };
        assert_eq!(figures(TRIAL, &ended, &ledgers, marks).amplification, 1.0);
    }

    #[test]
    fn the_time_that_healing_takes_is_no_part_of_the_fault() {
        let marks = Marks {
            healed: 3 * SECOND,
            ..MARKS
        };
        let ended = [call(SECOND + 1, 10), call(2 * SECOND + 1, 99)];
        let figures = figures(TRIAL, &ended, &[vec![], vec![], vec![]], marks);
        assert_eq!((figures.fault_s, figures.dials_per_s), (1.0, 4.0));
        assert_eq!(figures.max_us, 10.0);
    }

    #[test]
    fn a_call_under_way_when_it_happens_is_part_of_the_fault() {
        let ended = [call(10, 20), call(SECOND - 10, 5_000)];
        let figures = figures(TRIAL, &ended, &[vec![], vec![], vec![]], MARKS);
        assert_eq!(figures.max_us, 5_000.0);
    }

    #[test]
    fn a_node_is_back_when_it_has_its_share() {
        let every = |from: u64| (from..MARKS.end).step_by(10_000);
        let ledger = |from| {
            every(from)
                .map(|at| executed_at(at, at))
                .collect::<Vec<_>>()
        };
        let ended: Vec<_> = every(0).map(|at| call(at, 1)).collect();
        let back = |first| {
            let ledgers = [first, ledger(0), ledger(0)];
            recovered(Scenario::Kill9, &ended, &ledgers, MARKS)
        };
        assert_eq!(back(ledger(MARKS.healed + SECOND)), Some(1_000.0));
        assert_eq!(back(Vec::new()), None);
    }

    #[test]
    fn what_piled_up_on_a_node_does_not_bring_it_back() {
        let ended: Vec<_> = (0..100).map(|id| Ended { id, ..call(1, 1) }).collect();
        let piled_up = (0..100).map(|id| executed_at(id, MARKS.healed + id));
        let ledgers = [piled_up.collect(), vec![], vec![]];
        let recovered = recovered(Scenario::Sigstop, &ended, &ledgers, MARKS);
        assert_eq!(recovered, None);
    }

    #[test]
    fn failures_are_counted_by_their_code() {
        let failed = Ended {
            failure: Some(Failure::Status(Box::new(tonic::Status::unavailable(
                "gone",
            )))),
            ..call(SECOND, 1)
        };
        let hung = Ended {
            failure: Some(Failure::Hung),
            ..call(SECOND, 1)
        };
        let figures = figures(TRIAL, &[failed, hung], &[vec![], vec![], vec![]], MARKS);
        assert_eq!(figures.failed, 2);
        assert_eq!(figures.codes["Unavailable"], 1);
        assert_eq!(figures.codes["hung"], 1);
        assert_eq!(figures.failure.as_deref(), Some("Unavailable: gone"));
    }
}
