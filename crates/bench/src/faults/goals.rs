//! What we want of a run.

use super::{CALLERS, Figures, NODES, Scenario};

/// Attempts a call, with all nodes down.
const AMPLIFICATION: f64 = 1.02;

/// Dials a second of a node that is down, on average over a fault of ten seconds.
const DIALS: f64 = 1.0;

/// Seconds from which on it is one of ten: the clock may be set meanwhile.
const LONG: f64 = 9.5;

/// And while it has been down for a second or two only: the first five of 100 ms × 1.6 come within the first.
const DIALS_AT_FIRST: f64 = 4.0;

/// Calls that can be under way on one node, and a few that were on their way to it.
const ON_ONE_NODE: u64 = (CALLERS / NODES) as u64 + 4;

/// Microseconds that the slowest hundredth may take longer than before the fault, where a node fails at once.
const SLOWER_AT_ONCE: f64 = 3_000.0;

/// And where it says nothing.
const SLOWER_IN_SILENCE: f64 = 20_000.0;

/// What the calm is taken for where there was none: what a node works on a call, and a little.
const CALM: f64 = 33_000.0;

/// The goals that are missed, each with what is wanted; `yes` if none is.
pub(super) fn verdict(scenario: Scenario, idempotent: bool, figures: &Figures) -> String {
    let missed = missed(scenario, idempotent, figures);
    if missed.is_empty() {
        return "yes".into();
    }
    format!("NO: {}", missed.join(", "))
}

/// Whether none is missed.
pub(super) fn reached(scenario: Scenario, idempotent: bool, figures: &Figures) -> bool {
    missed(scenario, idempotent, figures).is_empty()
}

fn missed(scenario: Scenario, idempotent: bool, figures: &Figures) -> Vec<String> {
    let mut missed = Vec::new();
    let failures = failures(scenario, idempotent);
    if failures.is_some_and(|most| figures.failed > most) {
        missed.push(format!("failed <= {}", failures.unwrap_or_default()));
    }
    if !idempotent && figures.duplicates > 0 {
        missed.push("twice 0".into());
    }
    if scenario == Scenario::AllDown && figures.amplification > AMPLIFICATION {
        missed.push(format!("ampl. <= {AMPLIFICATION}"));
    }
    if let Some(most) = dials(scenario, figures.fault_s).filter(|most| figures.dials_per_s > *most)
    {
        missed.push(format!("dials/s <= {most}"));
    }
    if let Some(slower) = slower(scenario).filter(|_| idempotent) {
        let most = figures.calm_p99_us.unwrap_or(CALM) + slower;
        if figures.p99_us > most {
            missed.push(format!("p99 ms <= {:.1}", most / 1e3));
        }
    }
    if figures.codes.contains_key("hung") {
        missed.push("hung 0".into());
    }
    missed
}

/// Calls that may fail. Of those that may be executed once only, the ones under way on the node: nobody knows what became of them.
const fn failures(scenario: Scenario, idempotent: bool) -> Option<u64> {
    match scenario {
        Scenario::AllDown => None,
        Scenario::GracefulStop | Scenario::RollingRestart | Scenario::Slow => Some(0),
        _ if idempotent => Some(0),
        _ => Some(ON_ONE_NODE),
    }
}

fn dials(scenario: Scenario, seconds: f64) -> Option<f64> {
    let most = if seconds < LONG {
        DIALS_AT_FIRST
    } else {
        DIALS
    };
    match scenario {
        Scenario::Kill9 | Scenario::GracefulStop | Scenario::Sigstop | Scenario::AllDown => {
            Some(most)
        }
        _ => None,
    }
}

const fn slower(scenario: Scenario) -> Option<f64> {
    match scenario {
        Scenario::Kill9 | Scenario::GracefulStop | Scenario::AlwaysUnavailable => {
            Some(SLOWER_AT_ONCE)
        }
        Scenario::Sigstop | Scenario::BlackHoleAccept | Scenario::BlackHoleDrop => {
            Some(SLOWER_IN_SILENCE)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(failed: u64) -> Figures {
        Figures {
            failed,
            calm_p99_us: Some(32_000.0),
            p99_us: 32_500.0,
            ..Figures::default()
        }
    }

    #[test]
    fn an_idempotent_call_does_not_fail() {
        assert_eq!(verdict(Scenario::Kill9, true, &failed(0)), "yes");
        assert_eq!(
            verdict(Scenario::Kill9, true, &failed(1)),
            "NO: failed <= 0"
        );
    }

    #[test]
    fn one_that_is_not_may_if_it_was_on_the_node() {
        assert!(reached(Scenario::Kill9, false, &failed(25)));
        assert!(!reached(Scenario::Kill9, false, &failed(26)));
        assert!(!reached(Scenario::GracefulStop, false, &failed(1)));
    }

    #[test]
    fn no_call_that_is_not_idempotent_is_executed_twice() {
        let twice = Figures {
            duplicates: 1,
            ..failed(0)
        };
        assert!(reached(Scenario::Kill9, true, &twice));
        assert_eq!(verdict(Scenario::Kill9, false, &twice), "NO: twice 0");
    }

    #[test]
    fn nodes_that_are_down_are_left_alone() {
        let eager = Figures {
            amplification: 1.03,
            dials_per_s: 1.5,
            fault_s: 10.0,
            ..failed(20_000)
        };
        let verdict = verdict(Scenario::AllDown, true, &eager);
        assert_eq!(verdict, "NO: ampl. <= 1.02, dials/s <= 1");
    }

    #[test]
    fn a_node_that_has_just_gone_may_be_dialled_a_little_more_often() {
        let eager = |dials_per_s| Figures {
            dials_per_s,
            ..failed(0)
        };
        assert!(reached(Scenario::Kill9, true, &eager(3.2)));
        assert_eq!(
            verdict(Scenario::Kill9, true, &eager(600.0)),
            "NO: dials/s <= 4"
        );
    }

    #[test]
    fn a_fault_is_long_by_its_time_and_not_by_its_name() {
        let lasting = |fault_s| Figures {
            dials_per_s: 1.5,
            fault_s,
            ..failed(0)
        };
        for scenario in [Scenario::Sigstop, Scenario::Kill9] {
            assert_eq!(verdict(scenario, true, &lasting(3.0)), "yes");
            let verdict = verdict(scenario, true, &lasting(10.0));
            assert_eq!(verdict, "NO: dials/s <= 1");
        }
    }

    #[test]
    fn the_slowest_hundredth_is_held_against_the_calm() {
        let slow = Figures {
            p99_us: 36_000.0,
            ..failed(0)
        };
        assert_eq!(verdict(Scenario::Kill9, true, &slow), "NO: p99 ms <= 35.0");
        assert!(reached(Scenario::Sigstop, true, &slow));
    }
}
