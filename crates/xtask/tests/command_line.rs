//! The program as a shell sees it, with a cargo that only writes down what it was asked.

#![cfg(unix)]

use std::process::{Command, Output};

const SCRIPTED_CARGO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripted/cargo");

/// Runs xtask with nothing on the path, so that no cargo-deny or valgrind of this machine is found.
fn xtask(words: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(words)
        .env("CARGO", SCRIPTED_CARGO)
        .env("PATH", "")
        .envs(variables.iter().copied())
        .output()
        .expect("cargo built the program before this test")
}

fn commands(output: &Output) -> Vec<String> {
    let said = String::from_utf8_lossy(&output.stderr);
    let commands = said.lines().filter_map(|line| line.strip_prefix("$ "));
    commands.map(str::to_owned).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn an_unknown_chore_ends_with_two() {
    let output = xtask(&["frobnicate"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("there is no chore `frobnicate`"));
    assert!(output.stdout.is_empty());
}

#[test]
fn help_goes_to_standard_output() {
    let output = xtask(&["help"], &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("cargo xtask test"));
}

#[test]
fn a_failing_cargo_hands_its_exit_code_through() {
    let output = xtask(&["doc"], &[("FAILS_AT", "doc")]);
    assert_eq!(output.status.code(), Some(101));
    assert!(said(&output).contains("failed with exit status: 101"));
}

#[test]
fn a_cargo_that_is_not_there_is_said_so() {
    let output = xtask(&["doc"], &[("CARGO", "/nowhere/cargo")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("could not be started"));
}

#[test]
fn ci_is_the_chores_in_order() {
    let output = xtask(&["ci"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let commands = commands(&output);
    let bench = |line: &&String| !line.contains("crates/bench");
    let (traced, commands): (Vec<_>, Vec<_>) = commands
        .iter()
        .filter(bench)
        .partition(|line| line.starts_with("TOWER_MICRO_TRACED="));
    assert_eq!(
        commands,
        [
            "cargo fmt --all --check",
            "cargo clippy --workspace --all-targets --all-features -- -D warnings",
            "cargo metadata --no-deps --format-version 1",
            "cargo clippy --package tower-micro --no-default-features -- -D warnings",
            "RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --all-features",
            "cargo metadata --no-deps --format-version 1",
            "cargo clippy --package tower-micro --no-default-features --features default -- -D warnings",
            "cargo clippy --package tower-micro --no-default-features --features tls -- -D warnings",
            "cargo test --workspace --all-features",
        ]
    );
    let suite = "target/traced-spans cargo test --workspace --all-features --test all -- ";
    assert_eq!(traced.len(), 2);
    assert!(traced[0].ends_with(&format!("{suite}--skip tracing_")));
    assert!(traced[1].contains(&format!("{suite}--ignored --exact tracing_suite::")));
    assert!(said(&output).contains("skipped: cargo-deny is not installed"));
}

#[test]
fn ci_stops_at_the_first_failing_step_with_its_exit_code() {
    let output = xtask(&["ci"], &[("FAILS_AT", "doc")]);
    assert_eq!(output.status.code(), Some(101));
    assert!(commands(&output).last().unwrap().contains("cargo doc"));
    assert!(said(&output).contains("not reached"));
}

#[test]
fn a_bench_gets_the_folder_for_its_figures_and_the_program_that_counts_for_it() {
    let output = xtask(&["bench", "overhead", "--quick"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let commands = commands(&output);
    assert_eq!(commands.len(), 2, "{commands:?}");
    assert!(commands[0].ends_with("--bin allocations"));
    let line = &commands[1];
    let folder = line
        .strip_prefix("TOWER_MICRO_BENCH_OUT=")
        .and_then(|rest| rest.split(' ').next())
        .unwrap();
    assert!(std::path::Path::new(folder).is_dir());
    assert!(line.ends_with("--bin overhead -- --quick"));
    assert!(said(&output).contains("valgrind is not installed"));
}

#[test]
fn a_bench_over_the_wire_gets_its_server_first() {
    let output = xtask(&["bench", "faults", "--quick"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let commands = commands(&output);
    assert_eq!(commands.len(), 2, "{commands:?}");
    assert!(commands[0].ends_with("--bin node --features wire"));
    assert!(commands[1].ends_with("--bin faults --features wire -- --quick"));
}
