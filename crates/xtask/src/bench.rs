//! `cargo xtask bench NAME [arguments]`: builds and runs one program of `crates/bench`.
//!
//! `crates/bench` is a workspace of its own, with its own lock file and target directory, so that the peers it is
//! measured against never weigh on anybody's build. Nothing but this chore builds it.
//!
//! # The contract with a program in `crates/bench`
//!
//! - It is a binary target called NAME, built with `--release`, started at the root of the main workspace with the
//!   arguments that followed NAME.
//! - The variable [`OUT`] holds the absolute path of a folder that exists: `target/bench` of the main workspace. The
//!   program writes its figures there as `NAME.json`, and a table for people to standard output.
//! - It exits with 0 when it measured what it was asked to. Any other code becomes that of the chore.
//! - The program [`COLLECTOR`] is built with the feature of its name.
//! - A program in [`WIRED`] is built with the feature `wire`, and finds the program [`NODE`], its server, built beside it.
//! - [`OVERHEAD`] finds the program [`ALLOCATIONS`], which counts for it, built beside it.
//!
//! # The contract with a program that counts instructions
//!
//! For the programs in [`COUNTED`], where `valgrind` is installed, callgrind first counts the instructions of every
//! case; without it the program runs all the same and we say what its table lacks. Such a program knows three more
//! ways to be started:
//!
//! - `--list`, after the arguments that followed NAME, prints the name of each case to standard output, one a line and
//!   nothing else. A name is not empty, is unique and holds no tab.
//! - `--case NAME --iterations N --quiet` runs that case exactly N times and ends. It prints nothing, writes no file
//!   and measures no time; whatever it does once (servers, connections, warming up) does not depend on N. An unknown
//!   name is an error. Server and client may live in this one process, but then the server's instructions count too.
//! - `--instructions FILE` measures as ever and puts the counts of FILE into its table and its JSON. FILE has one line
//!   a case: the name, a tab, instructions per call as a decimal number (`bare tonic<TAB>77204.5`). A case that is
//!   not in FILE has no count.
//!
//! The count per call is the difference of two runs over the difference of their iterations, so that everything done
//! once cancels out: see [`callgrind`]. The file is `target/bench/NAME-instructions.tsv`. Counting is left out when the arguments hold one of
//! the three flags above, for then the program is being driven by hand, or `--no-instructions`, for some are in a hurry.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    callgrind,
    process::{on_path, run as start},
    stopped::Stopped,
    workspace::Workspace,
};

/// The variable that tells a program which folder its figures go to.
const OUT: &str = "TOWER_MICRO_BENCH_OUT";

/// The programs whose cases callgrind counts.
const COUNTED: &[&str] = &[OVERHEAD, "load"];

/// The program that measures the layers alone.
const OVERHEAD: &str = "overhead";

/// Its cases, with an allocator that counts.
const ALLOCATIONS: &str = "allocations";

/// The programs that talk to servers, each a process of its own.
const WIRED: &[&str] = &["load", "faults"];

/// Their server.
const NODE: &str = "node";

/// The program that sends spans to collectors: its feature is called as it is.
const COLLECTOR: &str = "collector";

const UNCOUNTED: &[&str] = &[
    "--list",
    "--case",
    "--instructions",
    "--no-instructions",
    "--help",
    "-h",
];
const MANIFEST: &str = "crates/bench/Cargo.toml";
const TARGET: &str = "crates/bench/target";

/// An explicit target directory wins over `CARGO_TARGET_DIR`, which may be set for the main workspace.
const PLACE: [&str; 4] = ["--manifest-path", MANIFEST, "--target-dir", TARGET];

/// The feature of what talks to servers.
const WIRE: &str = "wire";

/// Runs the program that the first argument names with the other arguments.
///
/// # Errors
/// [`Stopped::Misused`] without a name; else what building, counting or running ended with.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Stopped> {
    let (name, arguments) = named(arguments)?;
    let out = out_folder(workspace)?;
    let mut arguments = arguments.to_vec();
    if let Some(helper) = helper(name) {
        start(&mut cargo(workspace, "build", helper))?;
    }
    if counts(name, &arguments) {
        let file = count(workspace, name, &arguments, &out)?;
        arguments.extend(["--instructions".into(), file.display().to_string()]);
    }
    start(
        cargo(workspace, "run", name)
            .arg("--")
            .args(arguments)
            .env(OUT, out),
    )
}

/// Tests the programs, and what they share.
pub(crate) fn tests(workspace: &Workspace) -> Command {
    let mut command = workspace.cargo(["test"]);
    command.args(PLACE).args(["--features", WIRE]);
    command
}

/// The program that `name` starts.
fn helper(name: &str) -> Option<&'static str> {
    if name == OVERHEAD {
        Some(ALLOCATIONS)
    } else {
        WIRED.contains(&name).then_some(NODE)
    }
}

fn named(arguments: &[String]) -> Result<(&str, &[String]), Stopped> {
    match arguments.split_first() {
        Some((name, rest)) if !name.starts_with('-') => Ok((name, rest)),
        _ => Err(Stopped::Misused(
            "`bench` needs the name of a program first, as in `cargo xtask bench overhead`".into(),
        )),
    }
}

fn out_folder(workspace: &Workspace) -> Result<PathBuf, Stopped> {
    let out = workspace.path("target/bench");
    fs::create_dir_all(&out)
        .map_err(|source| Stopped::Broken(format!("cannot create {}: {source}", out.display())))?;
    Ok(out)
}

fn cargo(workspace: &Workspace, verb: &str, name: &str) -> Command {
    let mut command = workspace.cargo([verb, "--release"]);
    command.args(PLACE).args(["--bin", name]);
    if WIRED.contains(&name) || name == NODE {
        command.args(["--features", WIRE]);
    }
    if name == COLLECTOR {
        command.args(["--features", COLLECTOR]);
    }
    command
}

fn counts(name: &str, arguments: &[String]) -> bool {
    let uncounted = |argument: &String| {
        let flag = argument.split('=').next().unwrap_or(argument);
        UNCOUNTED.contains(&flag)
    };
    if !COUNTED.contains(&name) || arguments.iter().any(uncounted) {
        return false;
    }
    let present = on_path(callgrind::PROGRAM);
    if !present {
        eprintln!("xtask: valgrind is not installed, so the table will have no instruction counts");
    }
    present
}

/// Counts every case that `name` lists for `arguments` and returns the file with the counts.
fn count(
    workspace: &Workspace,
    name: &str,
    arguments: &[String],
    out: &Path,
) -> Result<PathBuf, Stopped> {
    start(&mut cargo(workspace, "build", name))?;
    let program = workspace
        .path(TARGET)
        .join("release")
        .join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let table = callgrind::count(workspace, &program, arguments)?;
    let file = out.join(format!("{name}-instructions.tsv"));
    fs::write(&file, table)
        .map_err(|source| Stopped::Broken(format!("cannot write {}: {source}", file.display())))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::spoken;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().copied().map(Into::into).collect()
    }

    #[test]
    fn the_bench_workspace_keeps_its_own_target_directory() {
        let mut command = cargo(&Workspace::pretended(), "run", "load");
        command.arg("--").args(["--seconds", "3"]).env(OUT, "/out");
        assert_eq!(
            spoken(&command),
            "TOWER_MICRO_BENCH_OUT=/out cargo run --release --manifest-path crates/bench/Cargo.toml \
             --target-dir crates/bench/target --bin load --features wire -- --seconds 3"
        );
    }

    #[test]
    fn all_of_the_bench_workspace_is_tested_but_what_sends_spans() {
        assert_eq!(
            spoken(&tests(&Workspace::pretended())),
            "cargo test --manifest-path crates/bench/Cargo.toml --target-dir crates/bench/target --features wire"
        );
    }

    #[test]
    fn what_needs_no_wire_is_built_without_it() {
        let command = cargo(&Workspace::pretended(), "run", "overhead");
        assert!(spoken(&command).ends_with("--bin overhead"));
    }

    #[test]
    fn the_collector_brings_its_own_feature() {
        let command = cargo(&Workspace::pretended(), "run", "collector");
        assert!(spoken(&command).ends_with("--bin collector --features collector"));
    }

    #[test]
    fn a_program_that_starts_another_has_it_built() {
        let helpers = ["overhead", "load", "faults", "churn", "collector"].map(helper);
        let expected = [Some("allocations"), Some("node"), Some("node"), None, None];
        assert_eq!(helpers, expected);
    }

    #[test]
    fn the_name_comes_before_its_arguments() {
        let arguments = words(&["overhead", "--quick"]);
        assert_eq!(named(&arguments).unwrap(), ("overhead", &arguments[1..]));
    }

    #[test]
    fn a_bench_without_a_name_is_misuse() {
        for arguments in [words(&[]), words(&["--quick"])] {
            assert_eq!(named(&arguments).unwrap_err().exit_code(), 2);
        }
    }

    #[test]
    fn a_program_driven_by_hand_is_not_counted() {
        for flag in ["--list", "--case", "--case=bare", "--no-instructions"] {
            assert!(!counts("overhead", &words(&[flag])));
        }
    }

    #[test]
    fn only_the_listed_programs_are_counted() {
        assert!(!counts("faults", &[]));
        for counted in ["overhead", "load"] {
            assert_eq!(counts(counted, &words(&["--quick"])), on_path("valgrind"));
        }
    }
}
