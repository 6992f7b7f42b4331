//! Unary echo from end to end, peers side by side: `cargo xtask bench load`.

#![forbid(unsafe_code)]

use std::{
    env,
    error::Error,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use bytes::Bytes;
use tokio::runtime::Builder;
use tower_micro_bench::{
    cost::AllocCounterSystem,
    instructions,
    load::{
        self, COUNTED_IN_FLIGHT, COUNTED_PAYLOAD, Extent, Plan,
        arguments::{self, Wish},
        case,
    },
    node::Node,
    pin::Pinned,
};

#[global_allocator]
static COUNTING: AllocCounterSystem = AllocCounterSystem;

/// The variable that says where the figures go.
const OUT: &str = "TOWER_MICRO_BENCH_OUT";

/// Calls before those of a case are counted.
const WARM_UP: u64 = 500;

const HELP: &str = "\
Unary echo from end to end: so many calls at a time, each followed by the next when it was answered.

  cargo xtask bench load [--quick] [--only VARIANT]... [--servers N]... [--in-flight N]... [--payload BYTES]...

  --quick              three servers, 16 and 64 in flight, 3 rounds of 100 ms instead of everything
  --only VARIANT       this one, beside `bare`; can be given more than once
  --servers N          instead of 1 and 3
  --in-flight N        instead of 16, 64 and 256
  --payload BYTES      instead of 64
  --rounds N           rounds in which the variants take turns (11)
  --millis N           how long each calls in a round (300)
  --chart FILE         the chart goes there too, as SVG
  --no-instructions    do not have callgrind count: it takes some minutes
  --instructions FILE  put these counts into the table: lines of a case, a tab, a number
  --list               the cases that instructions are counted of
  --case NAME          run one case --iterations times and say nothing, for a profiler
  --help               this

Figures go to load.json, and the chart to load.svg, in the folder that TOWER_MICRO_BENCH_OUT names, else in this one.
";

type Done = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    match perform() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let source = error.source().map(|source| format!(": {source}"));
            let _ = writeln!(io::stderr(), "load: {error}{}", source.unwrap_or_default());
            ExitCode::FAILURE
        }
    }
}

fn perform() -> Done {
    match arguments::parse(env::args().skip(1))? {
        Wish::Help => say(HELP),
        Wish::List(plan) => say(&cases(&plan)),
        Wish::Case { name, calls } => run(&name, calls),
        Wish::Table {
            plan,
            instructions,
            chart,
        } => tabulate(&plan, instructions.as_deref(), chart.as_deref()),
        wish => Err(format!("this program does not know {wish:?}").into()),
    }
}

fn say(text: &str) -> Done {
    Ok(io::stdout().write_all(text.as_bytes())?)
}

fn cases(plan: &Plan) -> String {
    let variants = plan.variants.iter();
    let cases = variants.flat_map(|&variant| plan.servers.iter().map(move |&n| case(variant, n)));
    cases.flat_map(|case| [case, "\n".into()]).collect()
}

fn run(name: &str, calls: u64) -> Done {
    let unknown = || format!("there is no case {name:?}: see --list");
    let (variant, servers) = name.split_once('/').ok_or_else(unknown)?;
    let variant = variant.parse().map_err(|()| unknown())?;
    let nodes = load::servers(servers.parse()?, Pinned::client())?;
    let addresses: Vec<_> = nodes.iter().map(Node::address).collect();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let client = load::prepare(variant, &addresses, &runtime)?;
    let payload = Bytes::from(vec![b'x'; COUNTED_PAYLOAD]);
    for calls in [WARM_UP, calls] {
        let round = client.run(&runtime, COUNTED_IN_FLIGHT, &payload, Extent::Calls(calls));
        let answered = round.answered();
        answered.map_err(|unanswered| format!("{name}: {unanswered}"))?;
    }
    Ok(())
}

fn tabulate(plan: &Plan, counts: Option<&Path>, chart: Option<&Path>) -> Done {
    let counts = counts.map(instructions::read).transpose()?;
    let pinned = Pinned::client();
    let rows = load::measure(plan, pinned, &counts.unwrap_or_default(), |setting| {
        // Progress that nobody reads is no loss.
        let _ = writeln!(io::stderr(), "load: {setting}");
    })?;
    let out = env::var_os(OUT).map_or_else(PathBuf::new, PathBuf::from);
    fs::write(out.join("load.json"), load::json(&rows))?;
    let drawn = load::chart(&rows);
    fs::write(out.join("load.svg"), &drawn)?;
    if let Some(chart) = chart {
        fs::write(chart, drawn)?;
    }
    say(&format!("{}\n{pinned}\n", load::table(&rows)))
}
