//! The words after `load`.

use std::path::PathBuf;

use super::Plan;
use crate::{
    arguments::{Misused, number, value},
    peers::Variant,
};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wish {
    /// A short text.
    Help,
    /// The names of the cases that instructions are counted of.
    List(Plan),
    /// Some calls of one case, and not a word.
    Case {
        /// Which one.
        name: String,
        /// How many.
        calls: u64,
    },
    /// The table.
    Table {
        /// How much is measured, and of what.
        plan: Plan,
        /// Counts that were made beforehand.
        instructions: Option<PathBuf>,
        /// Where the chart goes besides.
        chart: Option<PathBuf>,
    },
}

#[derive(Default)]
struct Given {
    help: bool,
    list: bool,
    quick: bool,
    case: Option<String>,
    calls: Option<u64>,
    only: Vec<Variant>,
    servers: Vec<usize>,
    in_flight: Vec<usize>,
    payload: Vec<usize>,
    rounds: Option<u64>,
    millis: Option<u64>,
    instructions: Option<PathBuf>,
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

impl Given {
    fn take(&mut self, word: &str, rest: &mut impl Iterator<Item = String>) -> Result<(), Misused> {
        match word {
            "--help" | "-h" => self.help = true,
            "--list" => self.list = true,
            "--quick" => self.quick = true,
            // A single case says nothing anyway, and whether to count is decided by who starts us.
            "--quiet" | "--no-instructions" => {}
            "--case" => self.case = Some(value("--case", rest)?),
            "--iterations" => self.calls = Some(number("--iterations", rest)?),
            "--only" => self.only.push(variant("--only", rest)?),
            "--servers" => self.servers.push(number("--servers", rest)? as usize),
            "--in-flight" => self.in_flight.push(number("--in-flight", rest)? as usize),
            "--payload" => self.payload.push(number("--payload", rest)? as usize),
            "--rounds" => self.rounds = Some(number("--rounds", rest)?),
            "--millis" => self.millis = Some(number("--millis", rest)?),
            "--instructions" => self.instructions = Some(value("--instructions", rest)?.into()),
            "--chart" => self.chart = Some(value("--chart", rest)?.into()),
            _ => return Err(Misused::Unknown(word.into())),
        }
        Ok(())
    }

    fn wish(mut self) -> Wish {
        let plan = self.plan();
        match self.case {
            _ if self.help => Wish::Help,
            _ if self.list => Wish::List(plan),
            Some(name) => Wish::Case {
                name,
                calls: self.calls.unwrap_or(1_000),
            },
            None => Wish::Table {
                plan,
                instructions: self.instructions,
                chart: self.chart,
            },
        }
    }

    fn plan(&mut self) -> Plan {
        let plan = if self.quick {
            Plan::quick()
        } else {
            Plan::default()
        };
        let only = std::mem::take(&mut self.only);
        let variants = plan.variants.iter().copied();
        // The baseline is always there, and first.
        let wanted = |variant: &Variant| {
            only.is_empty() || *variant == Variant::Bare || only.contains(variant)
        };
        Plan {
            variants: variants.filter(wanted).collect(),
            servers: or(&mut self.servers, plan.servers),
            in_flight: or(&mut self.in_flight, plan.in_flight),
            payload: or(&mut self.payload, plan.payload),
            rounds: self.rounds.unwrap_or(plan.rounds),
            millis: self.millis.unwrap_or(plan.millis),
        }
    }
}

fn or(given: &mut Vec<usize>, otherwise: Vec<usize>) -> Vec<usize> {
    let given = std::mem::take(given);
    if given.is_empty() { otherwise } else { given }
}

/// The variant that a word names.
pub(crate) fn variant(
    of: &'static str,
    rest: &mut impl Iterator<Item = String>,
) -> Result<Variant, Misused> {
    let name = value(of, rest)?;
    name.parse().map_err(|()| {
        let names: Vec<_> = Variant::ALL.iter().map(|variant| variant.name()).collect();
        Misused::NoSuch(of, name, names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(words: &str) -> Result<Plan, Misused> {
        match parse(words.split_whitespace().map(Into::into))? {
            Wish::Table { plan, .. } | Wish::List(plan) => Ok(plan),
            wish => panic!("{wish:?} has no plan"),
        }
    }

    #[test]
    fn no_words_ask_for_everything() {
        assert_eq!(plan(""), Ok(Plan::default()));
    }

    #[test]
    fn the_baseline_is_always_among_those_that_are_measured() {
        let variants = plan("--only volo --only ginepro").unwrap().variants;
        assert_eq!(variants, [Variant::Bare, Variant::Ginepro, Variant::Volo]);
    }

    #[test]
    fn a_setting_can_be_given_more_than_once() {
        let plan = plan("--quick --in-flight 1 --in-flight 2").unwrap();
        assert_eq!(plan.in_flight, [1, 2]);
        assert_eq!(plan.servers, Plan::quick().servers);
    }

    #[test]
    fn an_unknown_variant_is_told_with_the_known_ones() {
        let complaint = plan("--only nobody").unwrap_err().to_string();
        assert!(complaint.contains("\"nobody\"") && complaint.contains("tower-micro-tonic"));
    }
}
