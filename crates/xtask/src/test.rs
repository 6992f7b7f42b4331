//! `cargo xtask test`: what the tests need, then all the tests.
//!
//! Plain `cargo test`, so that the examples in the documentation run too and nothing has to be installed first.

use std::process::Command;

use crate::{
    need::{NEEDS, prepare},
    process::run as start,
    stopped::Stopped,
    workspace::Workspace,
};

/// Runs unit, documentation and integration tests of the whole workspace; `arguments` go on to `cargo test`.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Stopped> {
    prepare(workspace, NEEDS);
    start(&mut command(workspace, arguments))
}

fn command(workspace: &Workspace, arguments: &[String]) -> Command {
    let mut command = workspace.cargo(["test", "--workspace", "--all-features"]);
    command.args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::spoken;

    #[test]
    fn the_callers_arguments_go_on_to_cargo_test() {
        let arguments = ["--quiet", "retry", "--", "--nocapture"].map(String::from);
        assert_eq!(
            spoken(&command(&Workspace::pretended(), &arguments)),
            "cargo test --workspace --all-features --quiet retry -- --nocapture"
        );
    }
}
