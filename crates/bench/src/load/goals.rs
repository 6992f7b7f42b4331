//! What we want of our own rows, over three servers.

use super::Row;
use crate::measure::{at, sorted};

/// What one of ours must reach.
struct Goal {
    variant: &'static str,
    /// Times the calls of `bare`: the median over all settings.
    ratio: f64,
    allocations: f64,
    instructions: f64,
}

const GOALS: &[Goal] = &[
    Goal {
        variant: "tower-micro-tonic",
        ratio: 0.96,
        allocations: 40.0,
        instructions: 78_000.0,
    },
    // Everything on costs no more than bare tonic.
    Goal {
        variant: "tower-micro-h2",
        ratio: 1.0,
        allocations: 35.0,
        instructions: 77_200.0,
    },
];

/// How much more than `bare` the slowest hundredth may take: the median over all settings.
const P99: f64 = 1.05;

/// Times the calls of these: the median over all settings.
const OVER_PEERS: &[(&str, f64)] = &[
    ("diy-tower", 1.15),
    ("tower-resilience", 1.2),
    ("volo", 1.3),
];

/// Each goal, and whether it is reached. Nothing where nothing of ours was measured over three servers.
pub(super) fn verdicts(rows: &[Row]) -> String {
    let rows: Vec<_> = rows.iter().filter(|row| row.servers == 3).collect();
    let goals = GOALS.iter().flat_map(|goal| verdicts_of(goal, &rows));
    let lines: Vec<_> = goals.collect();
    match lines.is_empty() {
        true => String::new(),
        false => format!("\ngoals, over three servers\n{}", lines.concat()),
    }
}

fn verdicts_of(goal: &Goal, rows: &[&Row]) -> Vec<String> {
    let own = |row: &&Row| row.variant.name() == goal.variant;
    let own: Vec<_> = rows.iter().copied().filter(own).collect();
    if own.is_empty() {
        return Vec::new();
    }
    let mut lines = Vec::new();
    let mut tell = |what: &str, value: f64, reached: bool, limit: String| {
        let verdict = if reached { "yes" } else { "NO" };
        let name = goal.variant;
        lines.push(format!(
            "  {name:18} {what:32} {value:>9.2} {limit:>9}  {verdict}\n"
        ));
    };
    let mut at_least = |what: &str, value: f64, least: f64| {
        tell(what, value, value >= least, format!(">= {least}"));
    };
    at_least(
        "calls/s over bare",
        median(own.iter().map(|row| row.ratio_to_bare)),
        goal.ratio,
    );
    for (peer, least) in OVER_PEERS {
        let ratios = compared(&own, rows, peer, |row| row.ratio_to_bare);
        if !ratios.is_empty() {
            at_least(
                &format!("calls/s over {peer}"),
                median(ratios.into_iter()),
                *least,
            );
        }
    }
    let mut at_most = |what: &str, value: f64, most: f64| {
        tell(what, value, value <= most, format!("<= {most}"));
    };
    let tails = compared(&own, rows, "bare", |row| row.p99_us);
    at_most("p99 over bare", median(tails.into_iter()), P99);
    at_most(
        "allocations",
        median(own.iter().map(|row| row.allocations)),
        goal.allocations,
    );
    let errors: u64 = own.iter().map(|row| row.errors).sum();
    at_most("errors", errors as f64, 0.0);
    if let Some(count) = own.iter().find_map(|row| row.instructions) {
        at_most("instructions", count, goal.instructions);
    }
    lines
}

/// `figure` of ours over that of `peer`, in each setting that both were measured in.
fn compared(own: &[&Row], rows: &[&Row], peer: &str, figure: fn(&Row) -> f64) -> Vec<f64> {
    let setting = |row: &Row| (row.in_flight, row.payload);
    let theirs = |ours: &Row| {
        let mut rows = rows.iter();
        rows.find(|row| row.variant.name() == peer && setting(row) == setting(ours))
    };
    let compared = |ours: &&Row| theirs(ours).map(|theirs| figure(ours) / figure(theirs));
    own.iter().filter_map(compared).collect()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    at(&sorted(values), 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{load::row::tests::row, peers::Variant};

    #[test]
    fn a_goal_is_held_against_the_median_of_all_settings() {
        let ours = Variant::TowerMicroTonic;
        let rows = [
            row(Variant::Bare, 16, 1.0),
            row(ours, 16, 0.90),
            row(ours, 64, 0.97),
            row(ours, 256, 0.99),
        ];
        let verdicts = verdicts(&rows);
        let line = verdicts
            .lines()
            .find(|line| line.contains("over bare"))
            .unwrap();
        assert!(line.contains("0.97") && line.ends_with("yes"), "{verdicts}");
    }

    #[test]
    fn a_peer_is_compared_in_the_same_setting() {
        let ours = Variant::TowerMicroTonic;
        let rows = [
            row(ours, 16, 1.0),
            row(Variant::Volo, 64, 0.1),
            row(Variant::Volo, 16, 0.8),
        ];
        let verdicts = verdicts(&rows);
        let line = verdicts
            .lines()
            .find(|line| line.contains("over volo"))
            .unwrap();
        assert!(line.contains("1.25") && line.ends_with("NO"), "{verdicts}");
    }

    #[test]
    fn a_call_of_ours_that_failed_in_any_setting_is_one_too_many() {
        let mut rows = [16, 64].map(|in_flight| row(Variant::TowerMicroH2, in_flight, 1.0));
        let line = |rows: &[Row]| {
            let verdicts = verdicts(rows);
            let line = verdicts.lines().find(|line| line.contains("errors"));
            line.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        };
        let (none, one) = ("errors 0.00 <= 0 yes", "errors 1.00 <= 0 NO");
        assert_eq!(line(&rows), Some(format!("tower-micro-h2 {none}")));
        rows[1].errors = 1;
        assert_eq!(line(&rows), Some(format!("tower-micro-h2 {one}")));
    }

    #[test]
    fn without_rows_of_ours_there_is_no_verdict() {
        assert_eq!(verdicts(&[row(Variant::Bare, 16, 1.0)]), "");
    }
}
