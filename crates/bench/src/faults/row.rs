//! The figures of one run; as a table, and as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Scenario, Trial, goals};
use crate::peers::Variant;

/// A run, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What happened.
    pub scenario: Scenario,
    /// Who called.
    pub variant: Variant,
    /// Whether calls might be executed twice.
    pub idempotent: bool,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant, reason = "there are a hundred of them")]
pub enum Outcome {
    /// Figures.
    Measured(Figures),
    /// Nothing: the system does not let us.
    Skipped {
        /// Why.
        skipped: String,
    },
    /// Nothing: the run crashed, or did not end.
    Broken {
        /// How.
        broken: String,
    },
}

/// The figures of a run. Latencies, amplification and dials are those of the fault, the rest of the whole run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Calls.
    pub calls: u64,
    /// Those that failed.
    pub failed: u64,
    /// Executions beyond the first of a call, on whichever node.
    pub duplicates: u64,
    /// Half of the calls took no longer.
    pub p50_us: f64,
    /// All but a hundredth.
    pub p99_us: f64,
    /// None.
    pub max_us: f64,
    /// Attempts that nodes saw and connections that were refused, a call.
    pub amplification: f64,
    /// Connections that were asked for, a second and a faulty node.
    pub dials_per_s: f64,
    /// How long the fault lasted.
    pub fault_s: f64,
    /// From when everything was healed to when the node has 90 % of its share again; none if it has not, in the time there is.
    pub recovered_ms: Option<f64>,
    /// All but a hundredth took no longer before the fault; none if it was there from the beginning.
    pub calm_p99_us: Option<f64>,
    /// How many calls failed with which code. `hung`: not over a second after the deadline.
    pub codes: BTreeMap<String, u64>,
    /// What the first of them said.
    pub failure: Option<String>,
}

impl Row {
    /// What came of `trial`.
    pub const fn of(trial: Trial, outcome: Outcome) -> Self {
        Self {
            scenario: trial.scenario,
            variant: trial.variant,
            idempotent: trial.idempotent,
            outcome,
        }
    }
}

/// An array of rows, a line each.
///
/// # Errors
/// Never of rows that were measured: they hold nothing that JSON does not know.
pub fn json(rows: &[Row]) -> serde_json::Result<String> {
    let lines: Result<Vec<_>, _> = rows.iter().map(serde_json::to_string).collect();
    Ok(format!("[\n  {}\n]\n", lines?.join(",\n  ")))
}

/// How many runs are broken.
pub fn broken(rows: &[Row]) -> usize {
    let broken = |row: &&Row| matches!(row.outcome, Outcome::Broken { .. });
    rows.iter().filter(broken).count()
}

/// The table, with a verdict on each row.
pub fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:18} {:18} {:5} {:>6} {:>6} {:>5} {:>7} {:>7} {:>8} {:>6} {:>7} {:>7}  goals\n",
        "scenario",
        "variant",
        "idem.",
        "calls",
        "failed",
        "twice",
        "p50 ms",
        "p99 ms",
        "max ms",
        "ampl.",
        "dials/s",
        "back ms"
    );
    for row in rows {
        text += &line(row);
    }
    text
}

fn line(row: &Row) -> String {
    let idempotent = if row.idempotent { "yes" } else { "no" };
    let begin = format!("{:18} {:18} {idempotent:5}", row.scenario, row.variant);
    let figures = match &row.outcome {
        Outcome::Skipped { skipped } => return format!("{begin} skipped: {skipped}\n"),
        Outcome::Broken { broken } => return format!("{begin} NO: {broken}\n"),
        Outcome::Measured(figures) => figures,
    };
    let back = figures.recovered_ms.map(|back| format!("{back:.0}"));
    format!(
        "{begin} {:>6} {:>6} {:>5} {:>7.1} {:>7.1} {:>8.1} {:>6.3} {:>7.2} {:>7}  {}\n",
        figures.calls,
        figures.failed,
        figures.duplicates,
        figures.p50_us / 1e3,
        figures.p99_us / 1e3,
        figures.max_us / 1e3,
        figures.amplification,
        figures.dials_per_s,
        back.as_deref().unwrap_or("-"),
        goals::verdict(row.scenario, row.idempotent, figures)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIAL: Trial = Trial {
        scenario: Scenario::Kill9,
        variant: Variant::Volo,
        idempotent: false,
    };

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let measured = Figures {
            calls: 7,
            recovered_ms: Some(50.0),
            ..Figures::default()
        };
        let skipped = Outcome::Skipped {
            skipped: "not root".into(),
        };
        let broken = Outcome::Broken {
            broken: "it crashed".into(),
        };
        for outcome in [Outcome::Measured(measured), skipped, broken] {
            let rows = vec![Row::of(TRIAL, outcome)];
            let read: Vec<Row> = serde_json::from_str(&json(&rows).unwrap()).unwrap();
            assert_eq!(read, rows);
        }
    }

    #[test]
    fn names_stand_in_json_as_on_the_command_line() {
        let row = Row::of(TRIAL, Outcome::Measured(Figures::default()));
        let read: serde_json::Value = serde_json::from_str(&json(&[row]).unwrap()).unwrap();
        assert_eq!(
            (&read[0]["scenario"], &read[0]["variant"]),
            (&"kill-9".into(), &"volo".into())
        );
        assert!(read[0]["recovered_ms"].is_null());
    }

    #[test]
    fn why_a_run_was_skipped_stands_in_the_table() {
        let skipped = Outcome::Skipped {
            skipped: "not root".into(),
        };
        let rows = [Row::of(TRIAL, skipped)];
        assert!(table(&rows).contains("skipped: not root"));
        assert_eq!(broken(&rows), 0);
    }

    #[test]
    fn a_run_that_crashed_misses_every_goal() {
        let crashed = Outcome::Broken {
            broken: "it crashed".into(),
        };
        let rows = [Row::of(TRIAL, crashed)];
        assert!(table(&rows).ends_with(" NO: it crashed\n"));
        assert_eq!(broken(&rows), 1);
    }
}
