//! Layers never import one another, and only the stack names them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::paths::named;
use crate::documents::{entries, read};

/// The rings: their modules are layers, except for the next ring, which is inside.
const RINGS: [&str; 3] = ["per_call", "per_attempt", "per_node"];

/// The layer whose module or part `path` is. The inner ring holds one service, with its pool and its connections; a ring by itself is
/// all of its layers.
fn layer_of(path: &[String]) -> Option<String> {
    let depth = path
        .iter()
        .zip(RINGS)
        .take_while(|(step, ring)| *step == ring);
    match (depth.count(), path) {
        (0, _) => None,
        (3, _) => Some("per_node".to_owned()),
        (depth, path) if path.len() == depth => Some(format!("all of {}", path[depth - 1])),
        (depth, path) => Some(path[depth].clone()),
    }
}

/// A source file of the client.
struct File {
    path: PathBuf,
    module: Vec<String>,
}

impl File {
    fn at(path: PathBuf) -> Self {
        let inside = path
            .strip_prefix("crates/client/src")
            .unwrap()
            .with_extension("");
        let steps = inside.iter().map(|step| step.to_str().unwrap().to_owned());
        let module = steps
            .filter(|step| step != "mod" && step != "lib")
            .collect();
        Self { path, module }
    }

    /// A ring's `mod.rs` lists its layers.
    fn is_of_a_ring(&self) -> bool {
        layer_of(&self.module).is_some_and(|layer| layer.starts_with("all of "))
    }

    fn is_a_test(&self) -> bool {
        self.path
            .iter()
            .any(|step| step == "tests.rs" || step == "tests")
    }

    /// The layers it names.
    fn layers(&self, exported: &BTreeMap<String, String>) -> BTreeSet<String> {
        let named = named(&read(&self.path), &self.module);
        let layer =
            |path: &[String]| layer_of(path).or_else(|| exported.get(path.first()?).cloned());
        named
            .iter()
            .filter_map(|named| layer(&named.path))
            .collect()
    }
}

fn files_in(folder: &Path) -> Vec<File> {
    let entries = entries(folder).into_iter();
    let files = entries.flat_map(|path| match path.extension() {
        None => files_in(&path),
        Some(_) => vec![File::at(path)],
    });
    files.collect()
}

fn files() -> Vec<File> {
    let files = files_in(Path::new("crates/client/src")).into_iter();
    files
        .filter(|file| !file.is_a_test() && !file.is_of_a_ring())
        .collect()
}

/// Layers by the names under which `lib.rs` exports them.
fn exported() -> BTreeMap<String, String> {
    let named = named(&read("crates/client/src/lib.rs"), &[]);
    let layers = named
        .into_iter()
        .filter_map(|named| Some((named.name, layer_of(&named.path)?)));
    layers.collect()
}

#[test]
fn no_layer_names_another() {
    let exported = exported();
    assert!(
        exported.contains_key("RetryLayer"),
        "exported: {exported:?}"
    );
    let layers = files()
        .into_iter()
        .filter(|file| layer_of(&file.module).is_some());
    let layers: Vec<_> = layers.collect();
    assert!(layers.len() > 10, "only {} files were read", layers.len());
    for file in layers {
        let own = layer_of(&file.module).unwrap();
        let mut others = file.layers(&exported);
        others.remove(&own);
        assert!(
            others.is_empty(),
            "{} is a part of {own} and names {others:?}: leave a note in crates/call instead",
            file.path.display()
        );
    }
}

#[test]
fn only_the_stack_names_two_layers() {
    let exported = exported();
    let others = files()
        .into_iter()
        .filter(|file| layer_of(&file.module).is_none());
    for file in others {
        let layers = file.layers(&exported);
        let may = file.path.ends_with("stack.rs") || file.path.ends_with("lib.rs");
        assert_eq!(
            layers.len() > 1,
            may,
            "{} names {layers:?}",
            file.path.display()
        );
    }
}
