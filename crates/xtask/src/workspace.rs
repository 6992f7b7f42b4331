//! The workspace these chores are for: its root, its cargo, and the packages it publishes.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{process::capture, stopped::Stopped};

/// The root of the workspace and the cargo that started us.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    cargo: OsString,
}

/// A package that goes to crates.io, and the names of its features in alphabetical order, `default` among them.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Published {
    pub(crate) name: String,
    pub(crate) features: Vec<String>,
}

impl Workspace {
    /// The workspace that this program belongs to, wherever it was started.
    pub(crate) fn here() -> Self {
        // cargo says at run time where the package is now; the compiled-in path may be that of an older checkout
        // that shared a target directory with this one.
        let package = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = package
            .ancestors()
            .nth(2)
            .expect("crates/xtask stands two folders below the root");
        Self {
            root: root.to_owned(),
            cargo: env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
        }
    }

    /// A path in the workspace.
    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// `program`, to be run at the root.
    pub(crate) fn command(&self, program: impl Into<OsString>) -> Command {
        let mut command = Command::new(program.into());
        command.current_dir(&self.root);
        // `cargo run` describes this package to us. Passed on, that makes cargo rebuild every dependency whose build
        // script watches these variables, back and forth with each chore.
        for (name, _) in env::vars_os().filter(|(name, _)| describes_a_package(name)) {
            command.env_remove(name);
        }
        command
    }

    /// `cargo` with these arguments, to be run at the root.
    pub(crate) fn cargo<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = self.command(&self.cargo);
        command.args(arguments);
        command
    }

    /// The packages that go to crates.io, by name.
    ///
    /// # Errors
    /// When `cargo metadata` fails, as it does when a manifest is wrong.
    pub(crate) fn published(&self) -> Result<Vec<Published>, Stopped> {
        let mut command = self.cargo(["metadata", "--no-deps", "--format-version", "1"]);
        let output = capture(command.stderr(Stdio::inherit()))?;
        published_in(&output.stdout)
            .ok_or_else(|| Stopped::Broken("cannot read what `cargo metadata` wrote".into()))
    }
}

fn describes_a_package(variable: &std::ffi::OsStr) -> bool {
    let name = variable.to_string_lossy();
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

fn published_in(metadata: &[u8]) -> Option<Vec<Published>> {
    let metadata: Value = serde_json::from_slice(metadata).ok()?;
    let packages = metadata.get("packages")?.as_array()?;
    let mut published = packages
        .iter()
        .filter(|package| goes_to_crates_io(package))
        .map(read_package)
        .collect::<Option<Vec<_>>>()?;
    published.sort_unstable();
    Some(published)
}

/// `publish` is null where nothing was said, else the list of registries: `publish = false` is the empty list.
fn goes_to_crates_io(package: &Value) -> bool {
    match package.get("publish").and_then(Value::as_array) {
        None => true,
        Some(registries) => registries.iter().any(|registry| registry == "crates-io"),
    }
}

fn read_package(package: &Value) -> Option<Published> {
    let features: BTreeMap<_, _> = package.get("features")?.as_object()?.iter().collect();
    Some(Published {
        name: package.get("name")?.as_str()?.to_owned(),
        features: features.into_keys().cloned().collect(),
    })
}

#[cfg(test)]
impl Workspace {
    /// A workspace that nothing runs in: for the tests that only look at commands.
    pub(crate) fn pretended() -> Self {
        Self {
            root: "/workspace".into(),
            cargo: "cargo".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, features: &[&str]) -> Published {
        Published {
            name: name.into(),
            features: features.iter().copied().map(Into::into).collect(),
        }
    }

    #[test]
    fn what_is_published_is_read_by_name_with_its_features_in_order() {
        let metadata = br#"{"packages": [
            {"name": "b", "publish": null, "features": {"tls": ["dep:x"], "default": ["tls"], "dns": []}},
            {"name": "a", "publish": null, "features": {}}
        ]}"#;
        assert_eq!(
            published_in(metadata).unwrap(),
            [package("a", &[]), package("b", &["default", "dns", "tls"])]
        );
    }

    #[test]
    fn what_stays_at_home_is_left_out() {
        let metadata = br#"{"packages": [
            {"name": "nowhere", "publish": [], "features": {"x": []}},
            {"name": "elsewhere", "publish": ["ours"], "features": {"x": []}},
            {"name": "named", "publish": ["crates-io"], "features": {}}
        ]}"#;
        assert_eq!(published_in(metadata).unwrap(), [package("named", &[])]);
    }

    #[test]
    fn metadata_that_lacks_what_we_read_is_not_taken_for_an_empty_workspace() {
        assert_eq!(published_in(b"no json"), None);
        assert_eq!(published_in(b"{}"), None);
        assert_eq!(published_in(br#"{"packages": [{"name": "a"}]}"#), None);
    }

    #[test]
    fn the_description_of_this_package_is_not_passed_on() {
        assert!(describes_a_package("CARGO_PKG_NAME".as_ref()));
        assert!(describes_a_package("CARGO_MANIFEST_DIR".as_ref()));
        assert!(!describes_a_package("CARGO_TARGET_DIR".as_ref()));
    }
}
