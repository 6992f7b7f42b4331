//! The figures as a table for people, and as JSON for programs.

use serde_json::{Value, json};

use crate::{
    case::Case,
    figures::Figures,
    goal::{Goal, TimeGoal},
    measure::PerCall,
};

type Row = (Case, Figures);

/// A slow round may take so many times as long as a fast one.
const CALM: f64 = 1.15;

/// An array of `{case, over, ns, allocations, instructions}`, a line a case. What was not counted is `null`.
pub fn json(rows: &[Row]) -> String {
    let lines: Vec<_> = rows
        .iter()
        .map(|row| format!("  {}", object(row)))
        .collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

fn object((case, figures): &Row) -> Value {
    json!({
        "case": case.name,
        "over": case.over,
        "ns": tenths(figures.nanoseconds),
        "allocations": tenths(figures.allocations),
        "instructions": figures.instructions.map(tenths),
    })
}

fn tenths(value: f64) -> f64 {
    // Adding zero turns -0 into 0.
    (value * 10.0).round() / 10.0 + 0.0
}

/// The table.
pub fn table(rows: &[Row]) -> String {
    let title = line(
        "case",
        "over",
        ["ns", "allocations", "instructions"],
        "goal",
    );
    let rows = rows.iter().map(|row| table_line(row, rows));
    std::iter::once(title).chain(rows).collect()
}

fn table_line((case, figures): &Row, rows: &[Row]) -> String {
    let numbers = [
        format!("{:.0}", figures.nanoseconds),
        format!("{}", tenths(figures.allocations)),
        figures
            .instructions
            .map_or_else(|| "-".into(), |count| format!("{count:.0}")),
    ];
    let numbers = numbers.each_ref().map(String::as_str);
    let goals = goals(case.goal, figures, rows).join("   ");
    line(case.name, case.over.unwrap_or("-"), numbers, &goals)
}

fn line(
    case: &str,
    over: &str,
    [time, allocations, instructions]: [&str; 3],
    goal: &str,
) -> String {
    let line =
        format!("{case:20} {over:18} {time:>7} {allocations:>12} {instructions:>13}   {goal}");
    format!("{}\n", line.trim_end())
}

/// What is said under the table if the times in it are worth little.
pub fn warning(measured: &[PerCall]) -> String {
    let mut unrest: Vec<_> = measured.iter().map(|case| case.unrest).collect();
    unrest.sort_by(f64::total_cmp);
    match unrest.get(unrest.len() / 2) {
        Some(&unrest) if unrest > CALM => format!(
            "\nThe machine was busy: a slow round took {unrest:.2} times as long as a fast one. Measure the times again.\n"
        ),
        _ => String::new(),
    }
}

/// Each goal, and whether it is reached.
fn goals(goal: Goal, figures: &Figures, rows: &[Row]) -> Vec<String> {
    let time = goal.time.map(|time| match time {
        TimeGoal::Nanoseconds(most) => word(figures.nanoseconds, most, "ns"),
        TimeGoal::Times(most, case) => {
            let once = rows.iter().find(|(other, _)| other.name == case);
            let times = once.map_or(f64::NAN, |(_, once)| figures.nanoseconds / once.nanoseconds);
            format!("{times:.2}: {}", word(times, most, &format!("× {case}")))
        }
    });
    let allocations = goal
        .allocations
        .map(|most| word(tenths(figures.allocations), most, "allocations"));
    let instructions = goal.instructions.zip(figures.instructions);
    let instructions = instructions.map(|(most, count)| word(count, most, "instructions"));
    [time, allocations, instructions]
        .into_iter()
        .flatten()
        .collect()
}

fn word(value: f64, most: f64, unit: &str) -> String {
    let verdict = if value <= most { "yes" } else { "NO" };
    format!("<= {most} {unit} {verdict}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &'static str, goal: Goal, nanoseconds: f64, instructions: Option<f64>) -> Row {
        let case = Case::new(name, || unreachable!("it is not run"));
        let figures = Figures {
            nanoseconds,
            allocations: 2.0,
            instructions,
        };
        (case.goal(goal), figures)
    }

    #[test]
    fn what_was_not_counted_is_null() {
        let rows = [
            row("empty", Goal::NONE, 200.04, None),
            row("full", Goal::NONE, -0.01, Some(6_000.0)),
        ];
        let read: Value = serde_json::from_str(&json(&rows)).unwrap();
        assert_eq!(read[0]["case"], "empty");
        assert_eq!(read[0]["ns"], 200.0);
        assert!(read[0]["instructions"].is_null());
        assert_eq!(read[1]["instructions"], 6_000.0);
        assert_eq!(read[1]["over"], Value::Null);
    }

    #[test]
    fn the_table_says_which_goals_are_reached() {
        let goal = Goal::nanoseconds(600.0)
            .allocations(6.0)
            .instructions(5_000.0);
        let table = table(&[row("full", goal, 700.0, Some(4_000.0))]);
        assert!(table.contains("<= 600 ns NO"), "{table}");
        assert!(table.contains("<= 6 allocations yes"), "{table}");
        assert!(table.contains("<= 5000 instructions yes"), "{table}");
    }

    #[test]
    fn a_goal_can_be_a_multiple_of_another_case() {
        let rows = [
            row("full", Goal::NONE, 100.0, None),
            row("two", Goal::times(1.5, "full"), 160.0, None),
        ];
        let table = table(&rows);
        assert!(table.contains("1.60: <= 1.5 × full NO"), "{table}");
    }

    #[test]
    fn a_busy_machine_is_told_of() {
        let of = |unrest| PerCall {
            unrest,
            ..PerCall::default()
        };
        assert_eq!(warning(&[of(1.02), of(1.05), of(3.0)]), "");
        assert!(warning(&[of(1.02), of(1.5), of(3.0)]).contains("1.50 times"));
    }
}
