//! Counts the allocations of the cases of `overhead`, which starts it: an allocator that counts takes time, so it has a program of its own.

#![forbid(unsafe_code)]

use std::{
    env,
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use tower_micro_bench::{
    apart::{SERVE, serve},
    cases,
    cost::AllocCounterSystem,
};

#[global_allocator]
static COUNTING: AllocCounterSystem = AllocCounterSystem;

fn main() -> ExitCode {
    match perform() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "allocations: {error}");
            ExitCode::FAILURE
        }
    }
}

fn perform() -> Result<(), Box<dyn Error>> {
    let words: Vec<_> = env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [SERVE, name] => {
            let mut case = cases::begin(name)?;
            Ok(serve(&mut *case, io::stdin().lock(), io::stdout())?)
        }
        _ => Err(format!("it is started by `overhead`, as `allocations {SERVE} CASE`").into()),
    }
}
