//! The words after `faults`.

use std::path::PathBuf;

use super::{Pace, Scenario, Trial, variants};
use crate::{
    arguments::{Misused, value},
    peers::Variant,
};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wish {
    /// A short text.
    Help,
    /// All runs, and the table.
    Table {
        /// Which ones.
        trials: Vec<Trial>,
        /// How long they last.
        quick: bool,
        /// Where the chart goes besides.
        chart: Option<PathBuf>,
    },
    /// One run, in this process, and its row as JSON. This is how we start ourselves.
    One {
        /// Which one.
        trial: Trial,
        /// How long it lasts.
        pace: Pace,
        /// Whether this process is in a network of its own.
        isolated: bool,
    },
}

/// What follows `--only`: `SCENARIO`, `VARIANT`, or both with a slash between them.
#[derive(Clone, Copy, Debug)]
struct Only {
    scenario: Option<Scenario>,
    variant: Option<Variant>,
}

#[derive(Default)]
struct Given {
    help: bool,
    quick: bool,
    isolated: bool,
    one: Option<Trial>,
    only: Vec<Only>,
    idempotent: Option<bool>,
    chart: Option<PathBuf>,
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

/// The words that [`parse`] makes [`Wish::One`] of, for a run that is asked of ourselves.
pub fn words(trial: Trial, quick: bool) -> Vec<String> {
    let place = format!("{}/{}/{}", trial.scenario, trial.variant, trial.idempotent);
    let mut words = vec!["--one".into(), place];
    words.extend(quick.then(|| "--quick".into()));
    words
}

impl Given {
    fn take(&mut self, word: &str, rest: &mut impl Iterator<Item = String>) -> Result<(), Misused> {
        match word {
            "--help" | "-h" => self.help = true,
            "--quick" => self.quick = true,
            "--isolated" => self.isolated = true,
            "--idempotent" => self.idempotent = Some(true),
            "--not-idempotent" => self.idempotent = Some(false),
            "--one" => self.one = Some(one(&value("--one", rest)?)?),
            "--only" => self.only.push(only(&value("--only", rest)?)?),
            "--chart" => self.chart = Some(value("--chart", rest)?.into()),
            _ => return Err(Misused::Unknown(word.into())),
        }
        Ok(())
    }

    fn wish(self) -> Wish {
        let pace = if self.quick {
            Pace::quick()
        } else {
            Pace::default()
        };
        match self.one {
            _ if self.help => Wish::Help,
            Some(trial) => Wish::One {
                trial,
                pace,
                isolated: self.isolated,
            },
            None => Wish::Table {
                trials: self.trials(),
                quick: self.quick,
                chart: self.chart,
            },
        }
    }

    fn trials(&self) -> Vec<Trial> {
        let mut trials = Vec::new();
        for &scenario in Scenario::ALL {
            for variant in variants() {
                for idempotent in [true, false] {
                    trials.push(Trial {
                        scenario,
                        variant,
                        idempotent,
                    });
                }
            }
        }
        trials.retain(|trial| self.wants(trial));
        trials
    }

    fn wants(&self, trial: &Trial) -> bool {
        let named = |only: &Only| {
            only.scenario
                .is_none_or(|scenario| scenario == trial.scenario)
                && only.variant.is_none_or(|variant| variant == trial.variant)
        };
        let kind = self.idempotent.is_none_or(|kind| kind == trial.idempotent);
        kind && (self.only.is_empty() || self.only.iter().any(named))
    }
}

fn only(words: &str) -> Result<Only, Misused> {
    let whole = Only {
        scenario: words.parse().ok(),
        variant: words.parse().ok(),
    };
    if whole.scenario.is_some() || whole.variant.is_some() {
        return Ok(whole);
    }
    let (scenario, variant) = words
        .split_once('/')
        .ok_or_else(|| unknown("--only", words))?;
    match (scenario.parse(), variant.parse()) {
        (Ok(scenario), Ok(variant)) => Ok(Only {
            scenario: Some(scenario),
            variant: Some(variant),
        }),
        _ => Err(unknown("--only", words)),
    }
}

fn one(words: &str) -> Result<Trial, Misused> {
    let (place, idempotent) = words
        .rsplit_once('/')
        .ok_or_else(|| unknown("--one", words))?;
    match (only(place)?, idempotent.parse()) {
        (
            Only {
                scenario: Some(scenario),
                variant: Some(variant),
            },
            Ok(idempotent),
        ) => Ok(Trial {
            scenario,
            variant,
            idempotent,
        }),
        _ => Err(unknown("--one", words)),
    }
}

fn unknown(of: &'static str, words: &str) -> Misused {
    let scenarios: Vec<_> = Scenario::ALL
        .iter()
        .map(|scenario| scenario.name())
        .collect();
    let variants: Vec<_> = variants().iter().map(|variant| variant.name()).collect();
    let known = format!(
        "the scenarios {} and the variants {}",
        scenarios.join(", "),
        variants.join(", ")
    );
    Misused::NoSuch(of, words.into(), known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trials(text: &str) -> Vec<Trial> {
        match parse(text.split_whitespace().map(Into::into)) {
            Ok(Wish::Table { trials, .. }) => trials,
            wish => panic!("{wish:?} is no table"),
        }
    }

    #[test]
    fn no_words_ask_for_every_run() {
        assert_eq!(trials("").len(), Scenario::ALL.len() * variants().len() * 2);
    }

    #[test]
    fn a_run_can_be_named_by_what_happens_by_who_calls_or_by_both() {
        assert_eq!(trials("--only kill-9").len(), variants().len() * 2);
        assert_eq!(trials("--only volo").len(), Scenario::ALL.len() * 2);
        assert_eq!(trials("--only kill-9/volo").len(), 2);
        assert_eq!(trials("--only kill-9/volo --idempotent").len(), 1);
    }

    #[test]
    fn a_run_is_asked_of_ourselves_in_words_that_we_understand() {
        for trial in trials("--only volo") {
            let wish = parse(words(trial, true)).unwrap();
            let pace = Pace::quick();
            assert_eq!(
                wish,
                Wish::One {
                    trial,
                    pace,
                    isolated: false
                }
            );
        }
    }

    #[test]
    fn an_unknown_name_is_told_with_the_known_ones() {
        for text in ["meteor", "meteor/volo", "kill-9/nobody"] {
            let complaint = parse(["--only".into(), text.into()])
                .unwrap_err()
                .to_string();
            assert!(
                complaint.contains(text) && complaint.contains("sigstop-10s"),
                "{complaint}"
            );
        }
    }
}
