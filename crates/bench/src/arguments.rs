//! The words after the name of a program.

use std::path::PathBuf;

use thiserror::Error;

use crate::{apart::SERVE, measure::Plan};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wish {
    /// A short text.
    Help,
    /// The names of the cases.
    List {
        /// As in the table.
        only: String,
    },
    /// Some calls of one case, and not a word.
    Case {
        /// Which one.
        name: String,
        /// How many.
        calls: u64,
    },
    /// One case, as often as standard input asks.
    Serve(String),
    /// The table.
    Table {
        /// How much is measured.
        plan: Plan,
        /// Only cases whose names begin so, and those they are compared with.
        only: String,
        /// Counts that were made beforehand.
        instructions: Option<PathBuf>,
    },
}

/// Words that say nothing.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misused {
    /// An unknown one.
    #[error("{0:?} is not known: see --help")]
    Unknown(String),
    /// One that something should follow.
    #[error("{0} needs a value after it")]
    NoValue(&'static str),
    /// A number that is none, or zero.
    #[error("{0} needs a number of at least 1, not {1:?}")]
    NoNumber(&'static str, String),
    /// A name that nothing has.
    #[error("{0}: there is no {1:?}, but {2}")]
    NoSuch(&'static str, String, String),
}

#[derive(Default)]
struct Given {
    help: bool,
    list: bool,
    quick: bool,
    case: Option<String>,
    serve: Option<String>,
    only: Option<String>,
    rounds: Option<u64>,
    calls: Option<u64>,
    instructions: Option<PathBuf>,
}

/// Understands `words`.
///
/// # Errors
/// [`Misused`] if a word is unknown or lacks its value.
pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Wish, Misused> {
    let mut given = Given::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        given.take(&word, &mut words)?;
    }
    Ok(given.wish())
}

impl Given {
    fn take(&mut self, word: &str, rest: &mut impl Iterator<Item = String>) -> Result<(), Misused> {
        match word {
            "--help" | "-h" => self.help = true,
            "--list" => self.list = true,
            "--quick" => self.quick = true,
            // A single case says nothing anyway, and whether to count is decided by who starts us.
            "--quiet" | "--no-instructions" => {}
            "--case" => self.case = Some(value("--case", rest)?),
            SERVE => self.serve = Some(value(SERVE, rest)?),
            "--only" => self.only = Some(value("--only", rest)?),
            "--rounds" => self.rounds = Some(number("--rounds", rest)?),
            "--iterations" => self.calls = Some(number("--iterations", rest)?),
            "--instructions" => self.instructions = Some(value("--instructions", rest)?.into()),
            _ => return Err(Misused::Unknown(word.into())),
        }
        Ok(())
    }

    fn wish(self) -> Wish {
        let plan = self.plan();
        let only = self.only.unwrap_or_default();
        match self.case {
            _ if self.help => Wish::Help,
            _ if self.list => Wish::List { only },
            _ if self.serve.is_some() => Wish::Serve(self.serve.unwrap_or_default()),
            Some(name) => Wish::Case {
                name,
                calls: plan.calls,
            },
            None => Wish::Table {
                plan,
                only,
                instructions: self.instructions,
            },
        }
    }

    fn plan(&self) -> Plan {
        let plan = if self.quick {
            Plan::quick()
        } else {
            Plan::default()
        };
        Plan {
            rounds: self.rounds.unwrap_or(plan.rounds),
            calls: self.calls.unwrap_or(plan.calls),
        }
    }
}

pub(crate) fn value(
    of: &'static str,
    rest: &mut impl Iterator<Item = String>,
) -> Result<String, Misused> {
    rest.next().ok_or(Misused::NoValue(of))
}

pub(crate) fn number(
    of: &'static str,
    rest: &mut impl Iterator<Item = String>,
) -> Result<u64, Misused> {
    let text = value(of, rest)?;
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(Misused::NoNumber(of, text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &str) -> Result<Wish, Misused> {
        parse(words.split_whitespace().map(Into::into))
    }

    #[test]
    fn no_words_ask_for_the_whole_table() {
        let everything = Wish::Table {
            plan: Plan::default(),
            only: String::new(),
            instructions: None,
        };
        assert_eq!(parsed(""), Ok(everything));
    }

    #[test]
    fn a_single_case_is_run_so_many_times() {
        let full = Wish::Case {
            name: "full".into(),
            calls: 7,
        };
        assert_eq!(parsed("--case full --iterations 7 --quiet"), Ok(full));
    }

    #[test]
    fn those_that_are_listed_are_those_of_the_table() {
        let only = "full".into();
        assert_eq!(
            parsed("--only full --quick --list"),
            Ok(Wish::List { only })
        );
    }

    #[test]
    fn whether_instructions_are_counted_is_for_others_to_know() {
        assert_eq!(parsed("--quick --no-instructions"), parsed("--quick"));
    }

    #[test]
    fn quick_is_less_unless_more_is_asked_for() {
        let Ok(Wish::Table { plan, .. }) = parsed("--quick --iterations 9") else {
            panic!("no table");
        };
        assert_eq!((plan.rounds, plan.calls), (Plan::quick().rounds, 9));
    }

    #[test]
    fn words_that_say_nothing_are_told() {
        assert_eq!(parsed("--fast"), Err(Misused::Unknown("--fast".into())));
        assert_eq!(parsed("--case"), Err(Misused::NoValue("--case")));
        for text in ["0", "-1", "many"] {
            let complaint = Misused::NoNumber("--rounds", text.into());
            assert_eq!(parsed(&format!("--rounds {text}")), Err(complaint));
        }
    }
}
