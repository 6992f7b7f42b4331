//! Instructions per call, counted by valgrind's callgrind.
//!
//! Time on a shared machine drifts; the number of instructions hardly does. Each case runs twice, [`FEW`] and many times, and the count per
//! call is `(Ir(many) - Ir(FEW)) / (many - FEW)`: starting up, connecting and warming up happen in both and cancel out, but for the little
//! by which they differ from run to run. So there are [more](MANY) of a case whose calls do not stand out from that. What a program must
//! offer for it is in [`bench`](crate::bench).

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::{process::capture, stopped::Stopped, workspace::Workspace};

/// What has to be installed.
pub(crate) const PROGRAM: &str = "valgrind";

/// Iterations of the shorter run.
const FEW: u64 = 1_000;

/// Iterations of the longer run, and of the one instead where what is done once takes most of it.
const MANY: [u64; 2] = [3_000, 300_000];

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
            let per_call = measured(case, |iterations| {
                instructions(workspace, program, case, iterations)
            })?;
            Ok(format!("{case}\t{per_call:.1}\n"))
        })
        .collect()
}

/// The count per call, where `run` tells what so many iterations take.
fn measured(case: &str, run: impl Fn(u64) -> Result<u64, Stopped>) -> Result<f64, Stopped> {
    let few = run(FEW)?;
    let [first, instead] = MANY;
    let many = run(first)?;
    if many.saturating_sub(few) > few / 10 {
        return per_call(case, few, first, many).map_err(Stopped::Broken);
    }
    per_call(case, few, instead, run(instead)?).map_err(Stopped::Broken)
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

/// That of a case which took `few` instructions for [`FEW`] iterations, and `many` for so many.
fn per_call(case: &str, few: u64, iterations: u64, many: u64) -> Result<f64, String> {
    let more = many.checked_sub(few).filter(|more| *more > 0);
    let more = more.ok_or_else(|| {
        format!(
            "the case {case:?} took {few} instructions for {FEW} iterations and {many} for {iterations}: \
             does it heed --iterations?"
        )
    })?;
    Ok(more as f64 / (iterations - FEW) as f64)
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

    /// The count of a case which does `once` before calls of `each`, in the second run `more` of it.
    fn counted(once: u64, more: i64, each: u64) -> Result<f64, Stopped> {
        let runs = std::cell::Cell::new(0);
        measured("bare", |iterations| {
            let differs = if runs.replace(runs.get() + 1) == 1 {
                more
            } else {
                0
            };
            Ok(once.saturating_add_signed(differs) + iterations * each)
        })
    }

    #[test]
    fn what_is_done_once_cancels_out() {
        assert_eq!(counted(5_000_000, 0, 77_204).unwrap(), 77_204.0);
        assert_eq!(per_call("bare", 0, 3_000, 2_001), Ok(1.0005));
    }

    #[test]
    fn where_it_differs_by_more_than_the_calls_take_there_are_more_of_them() {
        assert_eq!(counted(69_000_000, -800_000, 150).unwrap(), 150.0);
    }

    #[test]
    fn a_case_that_does_not_heed_the_iterations_is_found_out() {
        for many in [0, 99, 100] {
            let complaint = per_call("bare", 100, 3_000, many).unwrap_err();
            assert!(complaint.contains("\"bare\""), "{complaint}");
        }
        assert!(counted(5_000_000, 0, 0).is_err());
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
