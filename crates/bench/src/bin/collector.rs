//! What calls take while the collector of their spans does not do well: `cargo xtask bench collector`.

#![forbid(unsafe_code)]

use std::{
    env, fs,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use serde_json::{Value, json};
use tower_micro_bench::collector::{OtherEnd, Plan, Row, measure};

/// The variable that says where the figures go.
const OUT: &str = "TOWER_MICRO_BENCH_OUT";

/// The most that the slowest hundredth of calls may take over that with a collector that is well.
const GOAL: f64 = 1.05;

const HELP: &str = "\
What calls take over loopback while the collector of their spans is well, down, slow or silent.

  cargo xtask bench collector [--quick]

  --quick   5 rounds instead of 60
  --help    this

Collectors take turns in each round of 1600 calls, two spans each, four callers at a time, which rest 1 ms after each call. Figures
are medians over the rounds; ratios are those to the same round with the collector that is well. `none`: nobody records. They go to
collector.json in the folder that TOWER_MICRO_BENCH_OUT names, else in this one.
";

fn main() -> ExitCode {
    match perform() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "collector: {error}");
            ExitCode::FAILURE
        }
    }
}

fn perform() -> Result<(), Box<dyn std::error::Error>> {
    let rounds = match env::args().nth(1).as_deref() {
        None => 60,
        Some("--quick") => 5,
        Some("--help") => return Ok(io::stdout().write_all(HELP.as_bytes())?),
        Some(other) => return Err(format!("{other:?} is not known: see --help").into()),
    };
    let rows = measure(Plan {
        rounds,
        calls: 1_600,
    })?;
    let mut table = "collector     p50 us   p99 us   p50 ratio   p99 ratio   goal\n".to_owned();
    table.extend(rows.iter().map(line));
    let figures = Value::from(rows.iter().map(figures).collect::<Vec<_>>());
    let out = env::var_os(OUT).map_or_else(PathBuf::new, PathBuf::from);
    fs::write(out.join("collector.json"), format!("{figures:#}\n"))?;
    Ok(io::stdout().write_all(table.as_bytes())?)
}

fn line(row: &Row) -> String {
    let Row {
        p50,
        p99,
        p50_ratio,
        p99_ratio,
        ..
    } = row;
    let goal = match row.other_end {
        OtherEnd::Well | OtherEnd::None => String::new(),
        _ if *p99_ratio <= GOAL => format!("<= {GOAL} yes"),
        _ => format!("<= {GOAL} NO"),
    };
    let name = row.other_end.name();
    let line =
        format!("{name:12} {p50:7.0}  {p99:7.0}  {p50_ratio:10.3}  {p99_ratio:10.3}   {goal}");
    format!("{}\n", line.trim_end())
}

fn figures(row: &Row) -> Value {
    json!({
        "collector": row.other_end.name(),
        "p50_us": row.p50,
        "p99_us": row.p99,
        "p50_ratio": row.p50_ratio,
        "p99_ratio": row.p99_ratio,
    })
}
