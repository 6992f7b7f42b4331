//! `cargo xtask ci`: what a machine checks before a change is taken, which is what you can check by hand.
//!
//! Each step is a chore as you would type it. The steps share one target directory and few sets of features, and only
//! the tests generate code, so the whole is bound by compiling the dependencies twice: once checked, once built.

#![expect(
    clippy::disallowed_types,
    reason = "how long a step took is told to people and decides nothing"
)]

use std::{
    fmt,
    time::{Duration, Instant},
};

use crate::{chore, deny, process::on_path, stopped::Stopped, workspace::Workspace};

/// A chore with its arguments, and the program without which it is skipped.
#[derive(Debug)]
struct Step {
    words: &'static [&'static str],
    skipped_without: Option<&'static str>,
}

const STEPS: &[Step] = &[
    always(&["fmt", "--check"]),
    always(&["check"]),
    always(&["doc"]),
    always(&["features"]),
    always(&["test"]),
    Step {
        words: &["deny"],
        skipped_without: Some(deny::PROGRAM),
    },
];

const fn always(words: &'static [&'static str]) -> Step {
    Step {
        words,
        skipped_without: None,
    }
}

/// How one step went.
#[derive(Debug)]
struct Record {
    name: String,
    ending: Ending,
    took: Duration,
}

#[derive(Debug)]
enum Ending {
    Passed,
    Skipped(&'static str),
    Failed(Stopped),
    NotReached,
}

/// Runs all steps up to the first that fails and prints how each went.
///
/// # Errors
/// What the failed step ended with, so that its exit code becomes ours.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Stopped> {
    if let Some(argument) = arguments.first() {
        return Err(Stopped::Misused(format!(
            "`ci` takes no arguments, and was given `{argument}`"
        )));
    }
    let perform = |step: &Step| chore::perform(workspace, step.words);
    let records = walk(STEPS, perform, on_path);
    eprint!("\n{}", summary(&records));
    conclusion(records)
}

fn walk(
    steps: &[Step],
    perform: impl Fn(&Step) -> Result<(), Stopped>,
    present: impl Fn(&str) -> bool,
) -> Vec<Record> {
    let mut failed = false;
    let record = |step: &Step| {
        let begun = Instant::now();
        let ending = match step.skipped_without {
            _ if failed => Ending::NotReached,
            Some(program) if !present(program) => Ending::Skipped(program),
            _ => perform(step).map_or_else(Ending::Failed, |()| Ending::Passed),
        };
        failed |= matches!(ending, Ending::Failed(_));
        Record {
            name: step.words.join(" "),
            ending,
            took: begun.elapsed(),
        }
    };
    steps.iter().map(record).inspect(tell).collect()
}

fn tell(record: &Record) {
    if !matches!(record.ending, Ending::NotReached) {
        eprintln!("{record}");
    }
}

fn summary(records: &[Record]) -> String {
    let whole: Duration = records.iter().map(|record| record.took).sum();
    let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
    format!("{lines}ci: {:.1} s in all\n", whole.as_secs_f64())
}

fn conclusion(records: Vec<Record>) -> Result<(), Stopped> {
    let failure = records.into_iter().find_map(|record| match record.ending {
        Ending::Failed(stopped) => Some(stopped),
        _ => None,
    });
    failure.map_or(Ok(()), Err)
}

impl fmt::Display for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        write!(formatter, "ci: {:<12} {seconds:>7.1} s  ", self.name)?;
        match &self.ending {
            Ending::Passed => formatter.write_str("passed"),
            Ending::Skipped(program) => write!(formatter, "skipped: {program} is not installed"),
            Ending::Failed(stopped) => write!(formatter, "failed: {stopped}"),
            Ending::NotReached => formatter.write_str("not reached"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken() -> Stopped {
        Stopped::Failed {
            command: "cargo doc".into(),
            ending: "exit status: 101".into(),
            code: 101,
        }
    }

    fn names(endings: &[Record]) -> Vec<&'static str> {
        let name = |record: &Record| match record.ending {
            Ending::Passed => "passed",
            Ending::Skipped(_) => "skipped",
            Ending::Failed(_) => "failed",
            Ending::NotReached => "not reached",
        };
        endings.iter().map(name).collect()
    }

    #[test]
    fn nothing_runs_after_the_first_failure_and_its_exit_code_is_kept() {
        let perform = |step: &Step| {
            assert!(!["features", "test", "deny"].contains(&step.words[0]));
            if step.words == ["doc"] {
                Err(broken())
            } else {
                Ok(())
            }
        };
        let records = walk(STEPS, perform, |_| true);
        let rest = ["not reached"; 3];
        assert_eq!(names(&records)[..3], ["passed", "passed", "failed"]);
        assert_eq!(names(&records)[3..], rest);
        assert_eq!(conclusion(records).unwrap_err().exit_code(), 101);
    }

    #[test]
    fn a_step_whose_program_is_missing_is_skipped_and_says_why() {
        let records = walk(STEPS, |_| Ok(()), |_| false);
        assert_eq!(names(&records)[4..], ["passed", "skipped"]);
        assert!(summary(&records).contains("skipped: cargo-deny is not installed"));
        assert_eq!(conclusion(records), Ok(()));
    }

    #[test]
    fn the_summary_has_a_line_a_step_with_its_duration() {
        let record = |name: &str, ending, tenths: u64| Record {
            name: name.into(),
            ending,
            took: Duration::from_millis(100 * tenths),
        };
        let records = [
            record("fmt --check", Ending::Passed, 12),
            record("doc", Ending::Failed(broken()), 615),
        ];
        assert_eq!(
            summary(&records),
            "ci: fmt --check      1.2 s  passed\n\
             ci: doc             61.5 s  failed: `cargo doc` failed with exit status: 101\n\
             ci: 62.7 s in all\n"
        );
    }

    #[test]
    fn ci_takes_no_arguments() {
        let stopped = run(&Workspace::pretended(), &["--fast".into()]).unwrap_err();
        assert_eq!(stopped.exit_code(), 2);
    }
}
