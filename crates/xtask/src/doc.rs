//! `cargo xtask doc`: the documentation, where a broken link or a bare address is an error.

use std::process::Command;

use crate::{process::run as start, stopped::Stopped, workspace::Workspace};

/// Builds the documentation of the workspace, without that of its dependencies.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Stopped> {
    start(&mut command(workspace, arguments))
}

fn command(workspace: &Workspace, arguments: &[String]) -> Command {
    let mut command = workspace.cargo(["doc", "--workspace", "--no-deps", "--all-features"]);
    command.args(arguments).env("RUSTDOCFLAGS", "-D warnings");
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::spoken;

    #[test]
    fn a_warning_in_the_documentation_is_an_error() {
        assert_eq!(
            spoken(&command(&Workspace::pretended(), &["--open".into()])),
            "RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --all-features --open"
        );
    }
}
