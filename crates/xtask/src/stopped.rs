//! Why a chore stopped, and the exit code that says so.

use std::fmt;

/// The end of a chore that did not do what it was asked to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// We were asked for something that we do not have.
    Misused(String),
    /// A command ran and failed. Its exit code becomes ours.
    Failed {
        /// The command, as it was printed.
        command: String,
        /// How it ended, in the words of the operating system.
        ending: String,
        /// Its exit code; 1 when it had none, as when a signal ended it.
        code: u8,
    },
    /// A command could not be started, or its answer not be understood.
    Broken(String),
}

impl Stopped {
    /// What the shell gets: the failed command's own code, 2 for misuse, 1 for the rest.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Misused(_) => 2,
            Self::Failed { code, .. } => *code,
            Self::Broken(_) => 1,
        }
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misused(what) | Self::Broken(what) => formatter.write_str(what),
            Self::Failed {
                command, ending, ..
            } => write!(formatter, "`{command}` failed with {ending}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_hands_its_exit_code_on() {
        let stopped = Stopped::Failed {
            command: "cargo test".into(),
            ending: "exit status: 101".into(),
            code: 101,
        };
        assert_eq!(stopped.exit_code(), 101);
        assert_eq!(
            stopped.to_string(),
            "`cargo test` failed with exit status: 101"
        );
    }

    #[test]
    fn misuse_is_two_and_a_breakdown_is_one() {
        assert_eq!(Stopped::Misused(String::new()).exit_code(), 2);
        assert_eq!(Stopped::Broken(String::new()).exit_code(), 1);
    }
}
