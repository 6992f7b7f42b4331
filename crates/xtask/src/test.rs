//! `cargo xtask test`: what the tests need, then all the tests.
//!
//! Plain `cargo test`, so that the examples in the documentation run too and nothing has to be installed first. Then the integration
//! tests once more with every call traced, each span sent by OTLP, and what was received held against what a trace must be. Last the
//! tests of the benchmarks, whose workspace is their own.

use std::{fs, io::ErrorKind, path::Path, process::Command};

use crate::{
    bench,
    need::{NEEDS, prepare},
    process::run as start,
    stopped::Stopped,
    workspace::Workspace,
};

/// The variable that names the file for the spans of the integration tests.
const TRACED: &str = "TOWER_MICRO_TRACED";

/// The integration tests, built as they were a moment before.
const SUITE: &[&str] = &["--test", "all", "--"];

/// What reads that file.
const READS: &str =
    "tracing_suite::every_span_of_the_suite_is_as_the_table_says_and_every_trace_is_a_tree";

/// Runs unit, documentation and integration tests of the whole workspace; `arguments` go on to `cargo test`, and with any of them that
/// is all.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Stopped> {
    prepare(workspace, NEEDS);
    start(&mut command(workspace, arguments))?;
    if arguments.is_empty() {
        trace(workspace)?;
        start(&mut bench::tests(workspace))?;
    }
    Ok(())
}

/// The integration tests traced, but for those that trace by themselves.
fn trace(workspace: &Workspace) -> Result<(), Stopped> {
    let file = workspace.path("target/traced-spans");
    remove(&file)?;
    start(&mut traced(workspace, &file, &["--skip", "tracing_"]))?;
    start(&mut traced(
        workspace,
        &file,
        &["--ignored", "--exact", READS, "--nocapture"],
    ))?;
    remove(&file)
}

fn traced(workspace: &Workspace, file: &Path, arguments: &[&str]) -> Command {
    let words = [SUITE, arguments].concat();
    let words: Vec<_> = words.into_iter().map(String::from).collect();
    let mut command = command(workspace, &words);
    command.env(TRACED, file);
    command
}

fn remove(file: &Path) -> Result<(), Stopped> {
    match fs::remove_file(file) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(Stopped::Broken(format!(
            "cannot remove {}: {source}",
            file.display()
        ))),
        _ => Ok(()),
    }
}

fn command(workspace: &Workspace, arguments: &[String]) -> Command {
    let mut command = workspace.cargo(["test", "--workspace", "--all-features"]);
    command.args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::spoken;

    #[test]
    fn the_callers_arguments_go_on_to_cargo_test() {
        let arguments = ["--quiet", "retry", "--", "--nocapture"].map(String::from);
        assert_eq!(
            spoken(&command(&Workspace::pretended(), &arguments)),
            "cargo test --workspace --all-features --quiet retry -- --nocapture"
        );
    }

    #[test]
    fn the_suite_is_traced_without_the_tests_that_trace_by_themselves() {
        let file = Path::new("/spans");
        assert_eq!(
            spoken(&traced(
                &Workspace::pretended(),
                file,
                &["--skip", "tracing_"]
            )),
            "TOWER_MICRO_TRACED=/spans cargo test --workspace --all-features --test all -- --skip tracing_"
        );
    }
}
