//! `cargo xtask fmt`: the form of every file.

use std::process::Command;

use crate::{process::run as start, stopped::Stopped, workspace::Workspace};

/// Formats the workspace and the bench workspace, or with `--check` only looks.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Stopped> {
    commands(workspace, arguments)
        .iter_mut()
        .try_for_each(start)
}

fn commands(workspace: &Workspace, arguments: &[String]) -> Vec<Command> {
    // crates/bench is a workspace of its own, so `--all` does not reach it.
    let bench = ["fmt", "--manifest-path", "crates/bench/Cargo.toml"];
    let mut commands = vec![workspace.cargo(["fmt", "--all"])];
    if workspace.path(bench[2]).is_file() {
        commands.push(workspace.cargo(bench));
    }
    for command in &mut commands {
        command.args(arguments);
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::spoken;

    #[test]
    fn check_goes_on_to_rustfmt() {
        let commands = commands(&Workspace::pretended(), &["--check".into()]);
        assert_eq!(spoken(&commands[0]), "cargo fmt --all --check");
    }

    #[test]
    fn the_bench_workspace_is_formatted_where_it_exists() {
        let here = Workspace::here();
        let reached = commands(&here, &[]).len();
        let expected = 1 + usize::from(here.path("crates/bench/Cargo.toml").is_file());
        assert_eq!(reached, expected);
        assert_eq!(commands(&Workspace::pretended(), &[]).len(), 1);
    }
}
