//! How calls fare when nodes fail, peers side by side: `cargo xtask bench faults`.

#![forbid(unsafe_code)]

use std::{
    env,
    error::Error,
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use tower_micro_bench::{
    faults::{
        self, Isolation, Outcome, Row, Scenario, Trial,
        arguments::{self, Wish},
    },
    pin::Pinned,
};

/// The variable that says where the figures go.
const OUT: &str = "TOWER_MICRO_BENCH_OUT";

/// No run lasts so long.
const FOR_EVER: Duration = Duration::from_secs(60);

const HELP: &str = "\
Three servers, 64 callers, and something happens to the servers.

  cargo xtask bench faults [--quick] [--only SCENARIO | VARIANT | SCENARIO/VARIANT]...

  --quick            shorter; what lasts ten seconds lasts three
  --only NAME        only this; can be given more than once
  --idempotent       only calls that may be executed twice
  --not-idempotent   only those that may not
  --chart FILE       the chart goes there too, as SVG
  --help             this

A call has 2 s. A server works 30 ms on it, so that 64 callers, each of which calls again when it was answered, make some
2000 calls a second; more they may not, so that those that fail fast do not spin.

Figures go to faults.json, and the chart to faults.svg, in the folder that TOWER_MICRO_BENCH_OUT names, else in this one.
";

type Done = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    match perform() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn perform() -> Done {
    match arguments::parse(env::args().skip(1))? {
        Wish::Help => say(HELP),
        Wish::Table {
            trials,
            quick,
            chart,
        } => tabulate(&trials, quick, chart.as_deref()),
        Wish::One {
            trial,
            pace,
            isolated,
        } => {
            let figures = faults::run(trial, pace, isolated)?;
            say(&serde_json::to_string(&Row::of(
                trial,
                Outcome::Measured(figures),
            ))?)
        }
        wish => Err(format!("this program does not know {wish:?}").into()),
    }
}

fn say(text: &str) -> Done {
    Ok(io::stdout().write_all(text.as_bytes())?)
}

fn tell(text: &str) {
    // Progress that nobody reads is no loss.
    let _ = writeln!(io::stderr(), "faults: {text}");
}

fn tabulate(trials: &[Trial], quick: bool, chart: Option<&Path>) -> Done {
    let isolation = Isolation::available();
    if let Isolation::Shared(reason) = &isolation {
        tell(&format!("{reason}; dials are those of the whole machine"));
    }
    let mut rows = Vec::new();
    for (count, trial) in trials.iter().enumerate() {
        tell(&format!("{}/{}: {trial}", count + 1, trials.len()));
        rows.push(row(*trial, quick, &isolation)?);
    }
    let out = env::var_os(OUT).map_or_else(PathBuf::new, PathBuf::from);
    fs::write(out.join("faults.json"), faults::json(&rows)?)?;
    let drawn = faults::chart(&rows);
    fs::write(out.join("faults.svg"), &drawn)?;
    if let Some(chart) = chart {
        fs::write(chart, drawn)?;
    }
    say(&format!("{}\n{}\n", faults::table(&rows), Pinned::tried()))?;
    match faults::broken(&rows) {
        0 => Ok(()),
        broken => Err(format!("{broken} of {} runs are broken", rows.len()).into()),
    }
}

fn row(trial: Trial, quick: bool, isolation: &Isolation) -> Result<Row, Box<dyn Error>> {
    if let (Scenario::BlackHoleDrop, Isolation::Shared(reason)) = (trial.scenario, isolation) {
        let skipped = reason.clone();
        return Ok(Row::of(trial, Outcome::Skipped { skipped }));
    }
    let mut command = isolation.command()?;
    command.args(arguments::words(trial, quick));
    let said = match finished(&mut command)? {
        Ok(said) => said,
        Err(broken) => return Ok(Row::of(trial, Outcome::Broken { broken })),
    };
    Ok(serde_json::from_str(&said)?)
}

/// What it wrote, or why it wrote nothing.
fn finished(command: &mut Command) -> io::Result<Result<String, String>> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    // A row is shorter than what a pipe holds, so it can be read afterwards.
    if !ended(&mut child)? {
        child.kill()?;
        child.wait()?;
        return Ok(Err(format!("it was not over after {FOR_EVER:?}")));
    }
    let status = child.wait()?;
    let mut said = String::new();
    if let Some(mut out) = child.stdout.take() {
        out.read_to_string(&mut said)?;
    }
    Ok(match status.success() {
        true => Ok(said),
        false => Err(format!("the run failed with {status}")),
    })
}

fn ended(child: &mut Child) -> io::Result<bool> {
    let step = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    while waited < FOR_EVER {
        if child.try_wait()?.is_some() {
            return Ok(true);
        }
        thread::sleep(step);
        waited += step;
    }
    Ok(false)
}
