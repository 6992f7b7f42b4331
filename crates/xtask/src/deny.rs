//! `cargo xtask deny`: the rules of `deny.toml` for what we depend on.

use std::process::Command;

use crate::{process::on_path, process::run as start, stopped::Stopped, workspace::Workspace};

/// The program behind `cargo deny`.
pub(crate) const PROGRAM: &str = "cargo-deny";

/// Checks licences, bans, sources and advisories; `arguments` choose among them, as in `cargo deny check`.
///
/// # Errors
/// [`Stopped::Broken`] when cargo-deny is not installed, with the command that installs it.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Stopped> {
    if !on_path(PROGRAM) {
        return Err(Stopped::Broken(format!(
            "{PROGRAM} is not installed: `cargo install --locked {PROGRAM}`"
        )));
    }
    start(&mut command(workspace, arguments))
}

fn command(workspace: &Workspace, arguments: &[String]) -> Command {
    let mut command = workspace.cargo(["deny", "check"]);
    command.args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::spoken;

    #[test]
    fn one_may_ask_for_some_of_the_checks() {
        assert_eq!(
            spoken(&command(&Workspace::pretended(), &["bans".into()])),
            "cargo deny check bans"
        );
    }
}
