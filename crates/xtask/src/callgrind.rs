//! Instructions per call, counted by valgrind's callgrind.
//!
//! Time on a shared machine drifts; the number of instructions hardly does. Each case runs twice, [`FEW`] and [`MANY`]
//! times, and the count per call is `(Ir(MANY) - Ir(FEW)) / (MANY - FEW)`: starting up, connecting and warming up
//! happen in both and cancel out. What a program must offer for that is in [`bench`](crate::bench).

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::{process::capture, stopped::Stopped, workspace::Workspace};

/// What has to be installed.
pub(crate) const PROGRAM: &str = "valgrind";

/// Iterations of the shorter run.
pub(crate) const FEW: u64 = 1_000;

/// Iterations of the longer run.
pub(crate) const MANY: u64 = 3_000;

/// Counts each case that `program` lists for `arguments`: a line a case, the name, a tab, instructions per call.
///
/// # Errors
/// When the program or valgrind fails, and when what they say makes no sense: no case, a bad name, no count.
pub(crate) fn count(
    workspace: &Workspace,
    program: &Path,
    arguments: &[String],
) -> Result<String, Stopped> {
    let mut list = workspace.command(program);
    list.args(arguments).arg("--list");
    let output = capture(list.stderr(Stdio::inherit()))?;
    let names = cases(&String::from_utf8_lossy(&output.stdout)).map_err(Stopped::Broken)?;
    names
        .iter()
        .map(|case| {
            let few = instructions(workspace, program, case, FEW)?;
            let many = instructions(workspace, program, case, MANY)?;
            let per_call = per_call(case, few, many).map_err(Stopped::Broken)?;
            Ok(format!("{case}\t{per_call:.1}\n"))
        })
        .collect()
}

/// The names in the answer to `--list`.
fn cases(listed: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = listed.lines().map(str::to_owned).collect();
    let unique: BTreeSet<_> = names.iter().collect();
    if names.is_empty() {
        return Err("`--list` named no case".into());
    }
    if let Some(bad) = names.iter().find(|name| is_bad(name)) {
        return Err(format!(
            "`--list` named a case {bad:?}: empty, or with a tab"
        ));
    }
    if unique.len() < names.len() {
        return Err("`--list` named a case twice".into());
    }
    Ok(names)
}

fn is_bad(name: &str) -> bool {
    name.trim().is_empty() || name.contains('\t')
}

fn instructions(
    workspace: &Workspace,
    program: &Path,
    case: &str,
    iterations: u64,
) -> Result<u64, Stopped> {
    let Output { stderr, .. } = capture(&mut command(workspace, program, case, iterations))?;
    collected(&String::from_utf8_lossy(&stderr))
        .ok_or_else(|| Stopped::Broken(format!("valgrind gave no count for the case {case:?}")))
}

fn command(workspace: &Workspace, program: &Path, case: &str, iterations: u64) -> Command {
    let mut command = workspace.command(PROGRAM);
    command
        // The profile itself is of no use here: only the sum on the last lines is read.
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["--case", case])
        .args(["--iterations", &iterations.to_string()])
        .arg("--quiet");
    command
}

/// The number in valgrind's last `==1234== Collected : 5678`; the first one where it collected several events, which
/// is that of instructions.
fn collected(log: &str) -> Option<u64> {
    let mut own = log.lines().rev().filter(|line| line.starts_with("=="));
    let (_, numbers) = own.find_map(|line| line.split_once("== Collected :"))?;
    numbers.split_whitespace().next()?.parse().ok()
}

fn per_call(case: &str, few: u64, many: u64) -> Result<f64, String> {
    let more = many.checked_sub(few).filter(|more| *more > 0);
    let more = more.ok_or_else(|| {
        format!(
            "the case {case:?} took {few} instructions for {FEW} iterations and {many} for {MANY}: \
             does it heed --iterations?"
        )
    })?;
    Ok(more as f64 / (MANY - FEW) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::spoken;

    const LOG: &str = "\
==4117== Callgrind, a call-graph generating cache profiler
==4117== Copyright (C) 2002-2017, and GNU GPL'd, by Josef Weidendorfer et al.
==4117== Command: overhead --case bare --iterations 1000 --quiet
==4117== For interactive control, run 'callgrind_control -h'.
the program itself may write: Collected : 12
==4117==
==4117== Events    : Ir
==4117== Collected : 77204913
==4117==
==4117== I   refs:      77,204,913
";

    #[test]
    fn the_sum_is_read_from_valgrinds_own_line() {
        assert_eq!(collected(LOG), Some(77_204_913));
    }

    #[test]
    fn of_several_events_instructions_come_first() {
        let log = "==1== Events    : Ir Bc Bi\n==1== Collected : 300 20 1\n";
        assert_eq!(collected(log), Some(300));
    }

    #[test]
    fn a_log_without_a_sum_has_no_count() {
        assert_eq!(collected(""), None);
        assert_eq!(collected("==1== Collected : \n"), None);
        assert_eq!(collected("Collected : 12\n"), None);
        assert_eq!(collected("==1== Collected : many\n"), None);
    }

    #[test]
    fn what_is_done_once_cancels_out() {
        let once = 5_000_000;
        let counted = per_call("bare", once + FEW * 77_204, once + MANY * 77_204);
        assert_eq!(counted, Ok(77_204.0));
        assert_eq!(per_call("bare", 0, 2_001), Ok(1.0005));
    }

    #[test]
    fn a_case_that_does_not_heed_the_iterations_is_found_out() {
        for many in [0, 99, 100] {
            let complaint = per_call("bare", 100, many).unwrap_err();
            assert!(complaint.contains("\"bare\""), "{complaint}");
        }
    }

    #[test]
    fn the_cases_are_the_lines_of_the_list() {
        assert_eq!(
            cases("bare tonic\nall on\n").unwrap(),
            ["bare tonic", "all on"]
        );
    }

    #[test]
    fn a_list_that_cannot_become_a_table_is_refused() {
        for list in ["", "a\n\nb\n", "a\tb\n", "a\na\n"] {
            assert!(cases(list).is_err(), "{list:?}");
        }
    }

    #[test]
    fn one_case_runs_alone_and_quietly() {
        let command = command(
            &Workspace::pretended(),
            "/b/overhead".as_ref(),
            "all on",
            1_000,
        );
        assert_eq!(
            spoken(&command),
            "valgrind --tool=callgrind --callgrind-out-file=/dev/null /b/overhead \
             --case 'all on' --iterations 1000 --quiet"
        );
    }
}
