//! What the layers cost, over a service that answers at once: `cargo xtask bench overhead`.

#![forbid(unsafe_code)]

use std::{
    env,
    error::Error,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use tower_micro_bench::{
    apart,
    arguments::{self, Wish},
    case::Case,
    cases,
    figures::figures,
    instructions,
    measure::{Plan, measure},
    pin::Pinned,
    report,
};

/// The variable that says where the figures go.
const OUT: &str = "TOWER_MICRO_BENCH_OUT";

const HELP: &str = "\
What a unary call costs in each layer, over a service that answers at once.

  cargo xtask bench overhead [--quick] [--only START] [--rounds N] [--iterations N]

  --quick              5 rounds of 2000 calls instead of 25 of 20000
  --only START         only cases whose names begin so, and those they are compared with
  --rounds N           rounds over all cases; the table has the median
  --iterations N       calls of each case in a round
  --no-instructions    do not have callgrind count: it takes some minutes
  --instructions FILE  put these counts into the table: lines of a case, a tab, a number
  --list               the names of the cases, of all that --only leaves
  --case NAME          run one case --iterations times and say nothing, for a profiler
  --serve NAME         run one case as often as each line of the input says, and say what it cost
  --help               this

Figures go to overhead.json in the folder that TOWER_MICRO_BENCH_OUT names, else in this one.
";

type Done = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    match perform() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let source = error.source().map(|source| format!(": {source}"));
            let _ = writeln!(
                io::stderr(),
                "overhead: {error}{}",
                source.unwrap_or_default()
            );
            ExitCode::FAILURE
        }
    }
}

fn perform() -> Done {
    match arguments::parse(env::args().skip(1))? {
        Wish::Help => say(HELP),
        Wish::List { only } => say(&names(&only)),
        Wish::Case { name, calls } => run(&name, calls),
        Wish::Serve(name) => serve(&name),
        Wish::Table {
            plan,
            only,
            instructions,
        } => tabulate(&only, plan, instructions.as_deref()),
        wish => Err(format!("this program does not know {wish:?}").into()),
    }
}

fn say(text: &str) -> Done {
    Ok(io::stdout().write_all(text.as_bytes())?)
}

fn names(only: &str) -> String {
    let names = wanted(only).into_iter().map(|case| case.name);
    names.flat_map(|name| [name, "\n"]).collect()
}

fn run(name: &str, calls: u64) -> Done {
    cases::begin(name)?.run(calls);
    Ok(())
}

fn serve(name: &str) -> Done {
    let mut case = cases::begin(name)?;
    Ok(apart::serve(&mut *case, io::stdin().lock(), io::stdout())?)
}

fn tabulate(only: &str, plan: Plan, counts: Option<&Path>) -> Done {
    let counted = counts.map(instructions::read).transpose()?;
    let cases = wanted(only);
    let measured = measure(&cases, plan)?;
    let rows = figures(&cases, &measured, &counted.unwrap_or_default());
    let out = env::var_os(OUT).map_or_else(PathBuf::new, PathBuf::from);
    fs::write(out.join("overhead.json"), report::json(&rows))?;
    let warnings = report::warning(&measured) + &cases::warning(&cases, Pinned::tried());
    say(&(report::table(&rows) + &warnings))
}

/// The cases whose names begin with `only`, and whatever they are compared with.
fn wanted(only: &str) -> Vec<Case> {
    let mut cases = cases::all();
    let mut names: Vec<_> = cases.iter().map(|case| case.name).collect();
    names.retain(|name| name.starts_with(only));
    // What is compared with stands before what is compared, so one pass backwards finds all of it.
    for case in cases.iter().rev() {
        if names.contains(&case.name) {
            names.extend(case.over);
        }
    }
    cases.retain(|case| names.contains(&case.name));
    cases
}
