//! A trace as text.

use std::fmt::Write;

use super::{
    Trace,
    scale::{DEEPEST, place, told},
    trace::{Row, What},
};

/// Columns of the bars.
const WIDTH: usize = 40;
/// Labels that are longer are cut.
const LABEL: usize = 48;

impl Trace {
    /// The trace as text, a row a line: name, when, how long, how it ended.
    pub fn waterfall(&self) -> String {
        let lines: Vec<_> = self.rows().iter().map(label).collect();
        let width = lines.iter().map(|label| label.chars().count()).max();
        let width = width.unwrap_or_default();
        let mut text = String::new();
        for (row, label) in self.rows().iter().zip(lines) {
            let bar = self.bar(row);
            let line = format!("{label:width$}  {bar}  {}", end(row));
            // Names and statuses may hold anything.
            let line = line.trim_end().replace(char::is_control, "\u{fffd}");
            // Writing to a String does not fail.
            let _ = writeln!(text, "{line}");
        }
        text
    }

    fn bar(&self, row: &Row) -> String {
        let at = |time| place(time, self.length(), WIDTH as f64);
        let first = (at(row.begins).floor() as usize).min(WIDTH - 1);
        let last = (at(row.ends).ceil() as usize).clamp(first + 1, WIDTH);
        let drawn = match (row.what, last - first) {
            (What::Event, _) => "×".to_owned(),
            (What::Pause, long) => "·".repeat(long),
            (_, 1) => "│".to_owned(),
            (_, long) => format!("├{}┤", "─".repeat(long - 2)),
        };
        format!("{}{drawn:rest$}", " ".repeat(first), rest = WIDTH - first)
    }
}

fn label(row: &Row) -> String {
    let label = format!("{}{}", "  ".repeat(row.depth.min(DEEPEST)), row.label);
    if label.chars().count() <= LABEL {
        return label;
    }
    let kept: String = label.chars().take(LABEL - 1).collect();
    format!("{kept}…")
}

fn end(row: &Row) -> String {
    let length = match row.what {
        What::Event => String::new(),
        _ => told(row.ends.saturating_sub(row.begins)),
    };
    format!("{length:>8}  {}", row.status)
}
