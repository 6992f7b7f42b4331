//! A case in a process of its own: a subscriber, once it is there, makes every span of its process cost something, and an allocator that
//! counts makes every allocation cost something.
//!
//! The process is this program again, or the one that counts, told to [`serve`] one case. It reads a number of calls from a line, makes them, and writes what
//! they cost: nanoseconds, a space, allocations. It ends with its input.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use crate::cost::{Cost, Run};

/// The word before the name of the case that is to be served.
pub const SERVE: &str = "--serve";

/// The program that serves with an allocator that counts.
const COUNTING: &str = "allocations";

/// A case that runs elsewhere. Dropped, it ends.
#[derive(Debug)]
pub struct Apart {
    process: Child,
    calls: Option<ChildStdin>,
    costs: BufReader<ChildStdout>,
}

impl Apart {
    /// Starts this program for the case `name`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(name: &str) -> io::Result<Self> {
        Self::of(&env::current_exe()?, name)
    }

    /// Starts the program that counts allocations, which is built beside this one.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn counting(name: &str) -> io::Result<Self> {
        let program = env::current_exe()?.with_file_name(COUNTING);
        Self::of(&program, name).map_err(|error| {
            let program = program.display();
            io::Error::other(format!(
                "cannot start {program}, which counts allocations: {error}; `cargo xtask bench` builds it"
            ))
        })
    }

    fn of(program: &Path, name: &str) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args([SERVE, name]);
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let calls = process.stdin.take();
        let costs = process.stdout.take().expect("its output is piped");
        let costs = BufReader::new(costs);
        Ok(Self {
            process,
            calls,
            costs,
        })
    }

    fn ask(&mut self, calls: u64) -> io::Result<Cost> {
        let input = self.calls.as_mut().expect("it is open until we drop it");
        writeln!(input, "{calls}")?;
        let mut line = String::new();
        self.costs.read_line(&mut line)?;
        read(&line).ok_or_else(|| io::Error::other(format!("{line:?} is not what calls cost")))
    }
}

impl Run for Apart {
    fn run(&mut self, calls: u64) -> Cost {
        self.ask(calls).expect("the process of this case goes on")
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        self.calls = None;
        let _ = self.process.wait();
    }
}

/// Runs a case as often as it is asked to.
///
/// # Errors
/// If a line is no number, or nobody reads the answers.
pub fn serve(run: &mut dyn Run, asked: impl BufRead, mut answers: impl Write) -> io::Result<()> {
    for line in asked.lines() {
        let calls = line?.parse().map_err(io::Error::other)?;
        let Cost { time, allocations } = run.run(calls);
        writeln!(answers, "{} {allocations}", time.as_nanos())?;
        answers.flush()?;
    }
    Ok(())
}

fn read(line: &str) -> Option<Cost> {
    let (nanoseconds, allocations) = line.trim_end().split_once(' ')?;
    Some(Cost {
        time: Duration::from_nanos(nanoseconds.parse().ok()?),
        allocations: allocations.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Constant;

    impl Run for Constant {
        fn run(&mut self, calls: u64) -> Cost {
            Cost {
                time: Duration::from_nanos(5 * calls),
                allocations: 2 * calls,
            }
        }
    }

    #[test]
    fn what_is_served_can_be_read() {
        let mut answers = Vec::new();
        serve(&mut Constant, "3\n10\n".as_bytes(), &mut answers).unwrap();
        let answers = String::from_utf8(answers).unwrap();
        let costs: Vec<_> = answers.lines().map(|line| read(line).unwrap()).collect();
        let times: Vec<_> = costs.iter().map(|cost| cost.time.as_nanos()).collect();
        assert_eq!(times, [15, 50]);
        assert_eq!(costs[1].allocations, 20);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        assert!(serve(&mut Constant, "many\n".as_bytes(), io::sink()).is_err());
        assert!(read("15").is_none() && read("").is_none());
    }
}
