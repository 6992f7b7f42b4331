//! The table of chores: the help and the dispatch both read it, so that neither can know more than the other.

use crate::{
    bench, check, ci, deny, doc, features, fmt, stopped::Stopped, test, workspace::Workspace,
};

/// One thing that `cargo xtask` can do.
#[derive(Debug)]
pub(crate) struct Chore {
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    run: fn(&Workspace, &[String]) -> Result<(), Stopped>,
}

const CHORES: &[Chore] = &[
    Chore {
        name: "fmt",
        arguments: "[--check]",
        about: "Write every file the way rustfmt likes it, crates/bench too. --check: only look.",
        run: fmt::run,
    },
    Chore {
        name: "check",
        arguments: "[cargo arguments]",
        about: "Clippy over everything with all features, then over each published crate without its\n\
                default features. Warnings are errors.",
        run: check::run,
    },
    Chore {
        name: "doc",
        arguments: "[cargo arguments]",
        about: "The documentation of the workspace with all features. Warnings are errors.",
        run: doc::run,
    },
    Chore {
        name: "features",
        arguments: "[cargo arguments]",
        about: "Clippy over each feature of each published crate, alone. Warnings are errors.",
        run: features::run,
    },
    Chore {
        name: "test",
        arguments: "[cargo test arguments]",
        about: "Fetch what the tests need, then run all of them: unit, documentation, integration. Without\n\
                arguments, the integration tests once more with every call traced and checked.",
        run: test::run,
    },
    Chore {
        name: "deny",
        arguments: "[cargo deny arguments]",
        about: "Licences, bans, sources and advisories of what we depend on. Needs cargo-deny.",
        run: deny::run,
    },
    Chore {
        name: "ci",
        arguments: "",
        about: "All of the above in order, up to the first that fails; then how long each took.",
        run: ci::run,
    },
    Chore {
        name: "bench",
        arguments: "NAME [its arguments]",
        about: "Build and run the program NAME of crates/bench. Figures go to target/bench/. With\n\
                valgrind at hand, `overhead` also counts instructions.",
        run: bench::run,
    },
];

/// Does the chore that the first word names, with the other words as its arguments.
///
/// # Errors
/// What the chore ends with; [`Stopped::Misused`] when there is no such chore, or no word at all.
pub(crate) fn perform(workspace: &Workspace, words: &[impl AsRef<str>]) -> Result<(), Stopped> {
    let words: Vec<String> = words.iter().map(|word| word.as_ref().to_owned()).collect();
    match words.split_first() {
        None => Err(Stopped::Misused(format!("which chore?\n\n{}", help()))),
        Some((name, _)) if ["help", "--help", "-h"].contains(&name.as_str()) => {
            print!("{}", help());
            Ok(())
        }
        Some((name, arguments)) => (find(name)?.run)(workspace, arguments),
    }
}

fn find(name: &str) -> Result<&'static Chore, Stopped> {
    let found = CHORES.iter().find(|chore| chore.name == name);
    found.ok_or_else(|| {
        let names: Vec<_> = CHORES.iter().map(|chore| chore.name).collect();
        Stopped::Misused(format!(
            "there is no chore `{name}`; there are {} (see `cargo xtask help`)",
            names.join(", ")
        ))
    })
}

fn help() -> String {
    let mut text = String::from("The chores of this workspace.\n");
    for chore in CHORES {
        let usage = format!("cargo xtask {} {}", chore.name, chore.arguments);
        let about = chore.about.replace('\n', "\n      ");
        text += &format!("\n  {}\n      {about}\n", usage.trim_end());
    }
    text + "\n  cargo xtask help\n      This list.\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_tells_of_every_chore() {
        let help = help();
        for chore in CHORES {
            assert!(help.contains(&format!("cargo xtask {}", chore.name)));
            assert!(help.contains(chore.about.lines().next().unwrap()));
        }
    }

    #[test]
    fn an_unknown_chore_is_misuse_that_names_the_known_ones() {
        let stopped = perform(&Workspace::pretended(), &["frobnicate"]).unwrap_err();
        assert_eq!(stopped.exit_code(), 2);
        let message = stopped.to_string();
        assert!(message.contains("`frobnicate`"));
        assert!(message.contains("fmt, check, doc, features, test, deny, ci, bench"));
    }

    #[test]
    fn no_chore_at_all_is_misuse_that_shows_the_help() {
        let stopped = perform(&Workspace::pretended(), &[] as &[&str]).unwrap_err();
        assert_eq!(stopped.exit_code(), 2);
        assert!(stopped.to_string().contains("cargo xtask test"));
    }

    #[test]
    fn asking_for_help_is_no_failure() {
        for word in ["help", "--help", "-h"] {
            assert_eq!(perform(&Workspace::pretended(), &[word]), Ok(()));
        }
    }
}
