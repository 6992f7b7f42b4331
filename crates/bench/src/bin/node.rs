//! A server of `bench.Echo`, held by the programs `load` and `faults`.

#![forbid(unsafe_code)]

use std::{
    env,
    error::Error,
    io::{self, Write},
    net::SocketAddr,
    process::ExitCode,
    time::Duration,
};

use tokio::runtime::Builder;
use tower_micro_bench::{
    ledger::Ledger,
    node::{Duty, serve},
    pin,
};

const HELP: &str = "\
A server of bench.Echo. It is started by `load` and `faults`, and ends with its standard input.

  node [--listen ADDRESS] [--service-micros N] [--ledger FILE] [--core N] [--black-hole]
";

fn main() -> ExitCode {
    match perform() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "node: {error}");
            ExitCode::FAILURE
        }
    }
}

fn perform() -> Result<(), Box<dyn Error>> {
    let Some(duty) = duty(env::args().skip(1))? else {
        return Ok(io::stdout().write_all(HELP.as_bytes())?);
    };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(serve(duty, say));
    // Reading standard input cannot be interrupted, and must not keep us.
    runtime.shutdown_background();
    Ok(served?)
}

fn say(line: String) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{line}")?;
    out.flush()
}

fn duty(mut words: impl Iterator<Item = String>) -> Result<Option<Duty>, Box<dyn Error>> {
    let mut duty = Duty {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        service_time: Duration::ZERO,
        ledger: None,
        black_hole: false,
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--listen" => duty.listen = value()?.parse()?,
            "--service-micros" => duty.service_time = Duration::from_micros(value()?.parse()?),
            "--ledger" => duty.ledger = Some(Ledger::open(value()?.as_ref())?),
            "--core" => run_on(value()?.parse()?)?,
            "--black-hole" => duty.black_hole = true,
            "--help" => return Ok(None),
            _ => return Err(format!("{word:?} is not known: see --help").into()),
        }
    }
    Ok(Some(duty))
}

fn run_on(core: usize) -> Result<(), String> {
    let refused = || format!("the system does not let us run on processor {core}");
    pin::here(core).then_some(()).ok_or_else(refused)
}
