//! `cargo xtask check`: clippy over everything, and over each published crate without its default features.

use std::process::Command;

use crate::{
    process::run as start,
    stopped::Stopped,
    workspace::{Published, Workspace},
};

/// Lints the workspace with all features, then each published crate with none.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Stopped> {
    start(&mut everything(workspace, arguments))?;
    let published = workspace.published()?;
    published
        .iter()
        .try_for_each(|package| start(&mut featureless(workspace, package, arguments)))
}

/// `cargo clippy` with `selection` and the caller's `arguments`; a warning is an error.
///
/// Clippy, not `cargo check`: `-D warnings` then reaches our own crates alone, so that dependencies are compiled once
/// for all selections. What follows `--` is the same everywhere, for cargo lints a crate anew whenever it differs.
pub(crate) fn clippy(workspace: &Workspace, selection: &[&str], arguments: &[String]) -> Command {
    let mut command = workspace.cargo(["clippy"]);
    command
        .args(selection)
        .args(arguments)
        .args(["--", "-D", "warnings"]);
    command
}

fn everything(workspace: &Workspace, arguments: &[String]) -> Command {
    let selection = ["--workspace", "--all-targets", "--all-features"];
    clippy(workspace, &selection, arguments)
}

fn featureless(workspace: &Workspace, package: &Published, arguments: &[String]) -> Command {
    let selection = ["--package", &package.name, "--no-default-features"];
    clippy(workspace, &selection, arguments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::spoken;

    #[test]
    fn the_callers_arguments_stand_before_those_of_the_linter() {
        assert_eq!(
            spoken(&everything(&Workspace::pretended(), &["--quiet".into()])),
            "cargo clippy --workspace --all-targets --all-features --quiet -- -D warnings"
        );
    }

    #[test]
    fn a_published_crate_is_looked_at_without_its_default_features() {
        let package = Published {
            name: "tower-micro".into(),
            features: vec!["default".into()],
        };
        assert_eq!(
            spoken(&featureless(&Workspace::pretended(), &package, &[])),
            "cargo clippy --package tower-micro --no-default-features -- -D warnings"
        );
    }
}
