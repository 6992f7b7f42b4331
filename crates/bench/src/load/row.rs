//! The figures of one variant in one setting; as a table, and as JSON.

use serde_json::{Value, json};

use super::goals;
use crate::peers::Variant;

/// What one variant does in one setting.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Who.
    pub variant: Variant,
    /// Over how many servers.
    pub servers: usize,
    /// Calls at a time.
    pub in_flight: usize,
    /// Bytes of a message.
    pub payload: usize,
    /// Calls answered in a second: the median of the rounds.
    pub calls_per_s: f64,
    /// Over what `bare` does in the same round: the median.
    pub ratio_to_bare: f64,
    /// Half of the calls took no longer, of all rounds.
    pub p50_us: f64,
    /// All but a hundredth.
    pub p99_us: f64,
    /// By the client process, a call.
    pub allocations: f64,
    /// By the client process, a call; where they were counted.
    pub instructions: Option<f64>,
    /// Calls that failed.
    pub errors: u64,
}

/// An array of rows, a line each.
pub fn json(rows: &[Row]) -> String {
    let lines: Vec<_> = rows
        .iter()
        .map(|row| format!("  {}", object(row)))
        .collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

fn object(row: &Row) -> Value {
    json!({
        "variant": row.variant.name(),
        "servers": row.servers,
        "in_flight": row.in_flight,
        "payload": row.payload,
        "calls_per_s": row.calls_per_s.round(),
        "ratio_to_bare": rounded(row.ratio_to_bare, 1_000.0),
        "p50_us": rounded(row.p50_us, 10.0),
        "p99_us": rounded(row.p99_us, 10.0),
        "allocations": rounded(row.allocations, 10.0),
        "instructions": row.instructions.map(f64::round),
        "errors": row.errors,
    })
}

fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

/// The table, and under it which goals are reached.
pub fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:18} {:>7} {:>9} {:>7} {:>8} {:>6} {:>7} {:>8} {:>11} {:>12} {:>6}\n",
        "variant",
        "servers",
        "in_flight",
        "payload",
        "calls/s",
        "ratio",
        "p50 us",
        "p99 us",
        "allocations",
        "instructions",
        "errors"
    );
    for row in rows {
        text += &line(row);
    }
    text + &goals::verdicts(rows)
}

fn line(row: &Row) -> String {
    let instructions = row.instructions.map(|count| format!("{count:.0}"));
    format!(
        "{:18} {:>7} {:>9} {:>7} {:>8.0} {:>6.2} {:>7.0} {:>8.0} {:>11.1} {:>12} {:>6}\n",
        row.variant,
        row.servers,
        row.in_flight,
        row.payload,
        row.calls_per_s,
        row.ratio_to_bare,
        row.p50_us,
        row.p99_us,
        row.allocations,
        instructions.as_deref().unwrap_or("-"),
        row.errors
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A row over three servers.
    pub(crate) fn row(variant: Variant, in_flight: usize, ratio: f64) -> Row {
        Row {
            variant,
            servers: 3,
            in_flight,
            payload: 64,
            calls_per_s: 20_000.4,
            ratio_to_bare: ratio,
            p50_us: 700.0,
            p99_us: 900.0,
            allocations: 33.04,
            instructions: None,
            errors: 0,
        }
    }

    #[test]
    fn what_was_not_counted_is_null() {
        let counted = Row {
            instructions: Some(77_200.4),
            ..row(Variant::Bare, 16, 1.0)
        };
        let rows = [counted, row(Variant::Volo, 64, 0.7346)];
        let read: Value = serde_json::from_str(&json(&rows)).unwrap();
        assert_eq!(read[0]["instructions"], 77_200.0);
        assert_eq!(read[0]["allocations"], 33.0);
        assert!(read[1]["instructions"].is_null());
        assert_eq!(read[1]["variant"], "volo");
        assert_eq!(read[1]["ratio_to_bare"], 0.735);
    }

    #[test]
    fn the_table_has_a_line_for_each_row() {
        let table = table(&[row(Variant::Bare, 16, 1.0), row(Variant::Ginepro, 16, 0.9)]);
        assert!(
            table.lines().nth(1).unwrap().starts_with("bare "),
            "{table}"
        );
        assert!(table.contains("ginepro"), "{table}");
    }
}
