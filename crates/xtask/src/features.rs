//! `cargo xtask features`: each feature of each published crate, alone.
//!
//! A feature that only builds beside another one is a fault that no build with all features can show. The list comes
//! from `cargo metadata`, so a new feature is looked at from the day it is written; `default` counts as one, for it is
//! what most people build.

use std::process::Command;

use crate::{
    check::clippy,
    process::run as start,
    stopped::Stopped,
    workspace::{Published, Workspace},
};

/// Lints every published crate once a feature, with that feature and no other.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Stopped> {
    commands(workspace, &workspace.published()?, arguments)
        .iter_mut()
        .try_for_each(start)
}

fn commands(workspace: &Workspace, published: &[Published], arguments: &[String]) -> Vec<Command> {
    let pairs = published.iter().flat_map(|package| {
        let features = package.features.iter();
        features.map(move |feature| (&package.name, feature))
    });
    pairs
        .map(|(package, feature)| alone(workspace, package, feature, arguments))
        .collect()
}

fn alone(workspace: &Workspace, package: &str, feature: &str, arguments: &[String]) -> Command {
    let package = ["--package", package, "--no-default-features"];
    let selection = [&package[..], &["--features", feature]].concat();
    clippy(workspace, &selection, arguments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::spoken;

    #[test]
    fn every_feature_of_every_published_crate_has_its_own_command() {
        let published = [
            Published {
                name: "one".into(),
                features: vec!["default".into(), "tls".into()],
            },
            Published {
                name: "plain".into(),
                features: vec![],
            },
        ];
        let commands = commands(&Workspace::pretended(), &published, &["--quiet".into()]);
        let lines: Vec<_> = commands.iter().map(spoken).collect();
        assert_eq!(
            lines,
            [
                "cargo clippy --package one --no-default-features --features default --quiet -- -D warnings",
                "cargo clippy --package one --no-default-features --features tls --quiet -- -D warnings",
            ]
        );
    }
}
