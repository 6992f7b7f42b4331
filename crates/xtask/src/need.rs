//! What the tests need beside Rust.
//!
//! Today that is nothing: the tests bring their own servers, and protobuf files are compiled without `protoc`. A test
//! that talks to a foreign program gets a row in [`NEEDS`]. Where we may install the program we do; where we may not,
//! we say what is missing and what is skipped for it. To skip itself is up to the test, which looks for the program.

use crate::{
    process::{capture, on_path, run},
    stopped::Stopped,
    workspace::Workspace,
};

/// A program that some tests talk to.
#[derive(Debug)]
pub(crate) struct Need {
    /// The name it is started by.
    pub(crate) program: &'static str,
    /// The Debian package that it comes in.
    pub(crate) debian_package: &'static str,
    /// Which tests use it and for what; these are skipped without it.
    pub(crate) why: &'static str,
}

/// Every program that a test uses now.
pub(crate) const NEEDS: &[Need] = &[];

/// Installs what is missing where apt and root are at hand, and says what is missing still.
///
/// A missing program is no error: the tests that need it are skipped, all others run.
pub(crate) fn prepare(workspace: &Workspace, needs: &[Need]) {
    let absent = missing(needs, on_path);
    if !absent.is_empty() && may_install(workspace) {
        install(workspace, &absent).unwrap_or_else(|stopped| eprintln!("xtask: {stopped}"));
    }
    for need in missing(needs, on_path) {
        eprintln!("{}", notice(need));
    }
}

fn missing(needs: &[Need], present: impl Fn(&str) -> bool) -> Vec<&Need> {
    needs.iter().filter(|need| !present(need.program)).collect()
}

fn notice(need: &Need) -> String {
    format!(
        "missing: {} (Debian package {}). Skipped without it: {}",
        need.program, need.debian_package, need.why
    )
}

fn may_install(workspace: &Workspace) -> bool {
    on_path("apt-get") && is_root(workspace)
}

fn is_root(workspace: &Workspace) -> bool {
    let identity = capture(workspace.command("id").arg("-u"));
    identity.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn install(workspace: &Workspace, absent: &[&Need]) -> Result<(), Stopped> {
    let packages = absent.iter().map(|need| need.debian_package);
    run(workspace.command("apt-get").args(["update", "--quiet"]))?;
    run(workspace
        .command("apt-get")
        .args(["install", "--yes", "--quiet", "--no-install-recommends"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: Need = Need {
        program: "clock",
        debian_package: "clock-server",
        why: "tests/clock.rs asks it for the time",
    };

    #[test]
    fn only_what_is_not_there_is_missing() {
        let present = |program: &str| program == "clock";
        assert!(missing(&[CLOCK], present).is_empty());
        assert_eq!(missing(&[CLOCK], |_| false).len(), 1);
    }

    #[test]
    fn what_is_missing_is_named_with_its_package_and_what_is_skipped() {
        assert_eq!(
            notice(&CLOCK),
            "missing: clock (Debian package clock-server). \
             Skipped without it: tests/clock.rs asks it for the time"
        );
    }

    #[test]
    fn a_need_is_listed_once() {
        for (index, need) in NEEDS.iter().enumerate() {
            assert!(
                NEEDS[..index]
                    .iter()
                    .all(|other| other.program != need.program)
            );
        }
    }
}
