//! A field of who against what: the share of calls that failed.

use super::{Figures, Outcome, Row, Scenario, goals};
use crate::{
    chart::{Anchor, Svg},
    peers::Variant,
};

const LEFT: f64 = 148.0;
const TOP: f64 = 84.0;
const CELL: f64 = 122.0;
const LINE: f64 = 26.0;

/// Shares of failed calls up to which a cell is not red.
const SOME: f64 = 0.01;

/// The chart of idempotent calls.
pub fn chart(rows: &[Row]) -> String {
    let rows: Vec<_> = rows.iter().filter(|row| row.idempotent).collect();
    let mut variants: Vec<Variant> = Vec::new();
    for row in &rows {
        if !variants.contains(&row.variant) {
            variants.push(row.variant);
        }
    }
    let width = LEFT + CELL * Scenario::ALL.len() as f64 + 12.0;
    let mut svg = Svg::new(
        width as u32,
        (TOP + LINE * variants.len() as f64 + 12.0) as u32,
    );
    let title = "Three servers, something happens: idempotent calls that fail, and how long the slowest hundredth takes";
    svg.text(12.0, 22.0, Anchor::Start, "title", title);
    let legend = "green: our goals are reached   amber: not all of them   red: 1 % of the calls fail, or more, with a node that could have answered";
    svg.text(12.0, 42.0, Anchor::Start, "faint", legend);
    for (column, scenario) in Scenario::ALL.iter().enumerate() {
        let x = LEFT + CELL * (column as f64 + 0.5);
        svg.text(x, TOP - 10.0, Anchor::Middle, "faint", scenario.name());
    }
    for (line, variant) in variants.iter().enumerate() {
        let y = TOP + LINE * line as f64;
        let class = if variant.is_ours() { "strong" } else { "" };
        svg.text(LEFT - 8.0, y + 16.0, Anchor::End, class, variant.name());
        for row in rows.iter().filter(|row| row.variant == *variant) {
            cell(&mut svg, y, row);
        }
    }
    svg.finish(title)
}

fn cell(svg: &mut Svg, y: f64, row: &Row) {
    let column = Scenario::ALL
        .iter()
        .position(|scenario| *scenario == row.scenario);
    let x = LEFT + CELL * column.unwrap_or_default() as f64;
    let (class, text) = match &row.outcome {
        Outcome::Skipped { .. } => ("none", "not run".into()),
        Outcome::Broken { .. } => ("bad", "broken".into()),
        Outcome::Measured(figures) => (colour(row.scenario, figures), said(figures)),
    };
    svg.bar([x + 1.0, y, CELL - 2.0, LINE - 3.0], class);
    svg.text(x + CELL / 2.0, y + 15.5, Anchor::Middle, "on", &text);
}

fn said(figures: &Figures) -> String {
    let p99 = format!("{:.0} ms", figures.p99_us / 1e3);
    match share(figures) {
        0.0 => format!("0 · {p99}"),
        share if share < 0.001 => format!("{} calls · {p99}", figures.failed),
        share => format!("{:.1} % · {p99}", share * 100.0),
    }
}

fn share(figures: &Figures) -> f64 {
    figures.failed as f64 / figures.calls.max(1) as f64
}

fn colour(scenario: Scenario, figures: &Figures) -> &'static str {
    if goals::reached(scenario, true, figures) {
        "good"
    } else if scenario == Scenario::AllDown || share(figures) < SOME {
        "fair"
    } else {
        "bad"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Trial;

    #[test]
    fn there_is_a_cell_for_each_run_with_idempotent_calls() {
        let row = |idempotent, failed| {
            let trial = Trial {
                scenario: Scenario::Kill9,
                variant: Variant::Bare,
                idempotent,
            };
            let calls = 1_000;
            let figures = Figures {
                calls,
                failed,
                ..Figures::default()
            };
            Row::of(trial, Outcome::Measured(figures))
        };
        let chart = chart(&[row(true, 333), row(false, 444)]);
        assert_eq!(chart.matches("<rect").count(), 1, "{chart}");
        assert!(
            chart.contains("33.3 %") && chart.contains("class=\"bad\""),
            "{chart}"
        );
    }
}
