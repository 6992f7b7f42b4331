#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a command-line program talks by printing"
)]

mod chore;

mod bench;
mod check;
mod ci;
mod deny;
mod doc;
mod features;
mod fmt;
mod test;

mod callgrind;
mod need;

mod process;
mod stopped;
mod workspace;

use std::{env, process::ExitCode};

use stopped::Stopped;
use workspace::Workspace;

fn main() -> ExitCode {
    match words().and_then(|words| chore::perform(&Workspace::here(), &words)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stopped) => {
            eprintln!("xtask: {stopped}");
            ExitCode::from(stopped.exit_code())
        }
    }
}

fn words() -> Result<Vec<String>, Stopped> {
    let readable = |word: std::ffi::OsString| {
        word.into_string()
            .map_err(|word| Stopped::Misused(format!("{} is not UTF-8", word.display())))
    };
    env::args_os().skip(1).map(readable).collect()
}
