//! Which crate imports which, held against `docs/arrows.md`.

mod layers;

mod manifest;

mod paths;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use self::manifest::{Dependency, dependencies, section};
use crate::documents::{entries, fenced, read};

type Arrows = BTreeMap<String, BTreeSet<String>>;

/// Crates by their folder. The benchmarks are a workspace of their own.
fn folders() -> Vec<String> {
    let crates = entries("crates");
    let names = crates.iter().filter_map(|path| path.file_name()?.to_str());
    names
        .filter(|name| *name != "bench")
        .map(String::from)
        .collect()
}

fn manifest_of(folder: &str) -> String {
    read(format!("crates/{folder}/Cargo.toml"))
}

/// The folder of a package of ours.
fn folder_of(dependency: &Dependency) -> Option<String> {
    let package = dependency.package.as_str();
    let folder = package.strip_prefix("tower-micro-");
    let folder = folder.or((package == "tower-micro").then_some(package));
    folder.map(String::from)
}

fn arrows_that_are() -> Arrows {
    let imports = |folder: &String| {
        let dependencies = dependencies(&manifest_of(folder));
        dependencies.iter().filter_map(folder_of).collect()
    };
    let folders = folders().into_iter();
    folders.map(|from| (from.clone(), imports(&from))).collect()
}

/// The lines `from -> to, to` of the block marked `arrows`.
fn arrows_that_are_drawn() -> Arrows {
    let blocks = fenced(&read("docs/arrows.md"), "arrows");
    assert_eq!(blocks.len(), 1, "docs/arrows.md has one block of arrows");
    let line = |line: &str| {
        let (from, to) = line.split_once("->").expect("a line is `from -> to, to`");
        let to = to.split(',').map(str::trim).filter(|to| !to.is_empty());
        (from.trim().to_owned(), to.map(String::from).collect())
    };
    blocks[0].lines().map(line).collect()
}

#[test]
fn crates_import_one_another_as_the_arrows_are_drawn() {
    assert_eq!(arrows_that_are(), arrows_that_are_drawn());
}

/// The backends (`registry-etcd`, `broker-nats`, …) that import anything of ours but their interface.
fn wrong_backends(arrows: &BTreeMap<String, BTreeSet<String>>) -> Vec<&str> {
    let is_wrong = |from: &str, to: &BTreeSet<String>| {
        let interface = from.split_once('-').map(|(interface, _)| interface);
        let interface = interface.filter(|name| matches!(*name, "registry" | "broker"));
        interface.is_some_and(|interface| !to.iter().eq([interface]))
    };
    let wrong = arrows.iter().filter(|(from, to)| is_wrong(from, to));
    wrong.map(|(from, _)| from.as_str()).collect()
}

#[test]
fn a_backend_imports_its_interface_and_nothing_else_of_ours() {
    let drawn = [
        ("registry-right", vec!["registry"]),
        ("registry-wrong", vec!["call", "registry"]),
        ("broker-wrong", vec!["registry"]),
        ("client", vec!["call", "selector"]),
    ];
    let drawn = drawn.map(|(from, to)| {
        let to = to.into_iter().map(String::from).collect();
        (from.to_owned(), to)
    });
    let drawn = BTreeMap::from(drawn);
    assert_eq!(wrong_backends(&drawn), ["broker-wrong", "registry-wrong"]);
    assert!(wrong_backends(&arrows_that_are()).is_empty());
}

/// `lib.rs` or `main.rs` of each crate and each example.
fn entrances() -> Vec<PathBuf> {
    let houses = [entries("crates"), entries("examples")].concat();
    let files = houses.iter().flat_map(|house| entries(house.join("src")));
    files
        .filter(|file| file.ends_with("lib.rs") || file.ends_with("main.rs"))
        .collect()
}

#[test]
fn every_crate_forbids_unsafe_code() {
    let entrances = entrances();
    assert!(entrances.len() > folders().len(), "{entrances:?}");
    for entrance in entrances {
        let forbids = read(&entrance).contains("\n#![forbid(unsafe_code)]\n");
        assert!(forbids, "{} does not", entrance.display());
    }
}

#[test]
fn the_selector_brings_no_runtime() {
    let brought = dependencies(&manifest_of("selector"));
    let registry = brought
        .iter()
        .find(|brought| brought.package.ends_with("-registry"));
    let settings = &registry.expect("a selector watches a registry").settings;
    assert_eq!(settings, "true", "the registry comes without features");
    assert!(
        section(&read("Cargo.toml"), "workspace.dependencies")
            .lines()
            .any(|line| {
                line.starts_with("tower-micro-registry = ")
                    && line.contains("default-features = false")
            })
    );
    let registry = dependencies(&manifest_of("registry"));
    let brought = brought
        .iter()
        .chain(registry.iter().filter(|brought| !brought.is_optional()));
    let foreign = brought.filter(|brought| folder_of(brought).is_none());
    let mut seen = BTreeSet::new();
    foreign.for_each(|brought| bring(&brought.package, &mut seen));
    let runtimes: Vec<_> = seen
        .iter()
        .filter(|name| name.starts_with("tokio"))
        .collect();
    assert!(
        runtimes.is_empty() && seen.contains("arc-swap"),
        "brought: {seen:?}"
    );
}

/// Adds `package` and all that `Cargo.lock` says it stands on.
fn bring(package: &str, seen: &mut BTreeSet<String>) {
    if !seen.insert(package.to_owned()) {
        return;
    }
    let lock = read("Cargo.lock");
    let entry = format!("name = \"{package}\"\n");
    for entry in lock
        .split("[[package]]\n")
        .filter(|text| text.starts_with(&entry))
    {
        let (_, list) = entry.split_once("dependencies = [").unwrap_or_default();
        let list = list.split(']').next().unwrap_or_default();
        let names = list.split('"').skip(1).step_by(2);
        names.for_each(|name| bring(name.split(' ').next().unwrap_or(name), seen));
    }
}
