//! Documentation that can be wrong: links, and the tests it names.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folder that holds everything.
pub(crate) fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap().to_owned()
}

/// The text of a file, by its path from the root.
pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What is in a folder, by its path from the root, in order. A folder that is not there is empty.
pub(crate) fn entries(folder: impl AsRef<Path>) -> Vec<PathBuf> {
    let folder = folder.as_ref();
    let Ok(entries) = fs::read_dir(root().join(folder)) else {
        return Vec::new();
    };
    let mut entries: Vec<_> = entries
        .map(|entry| folder.join(entry.unwrap().file_name()))
        .collect();
    entries.sort();
    entries
}

/// The fenced blocks of a document that are marked with `mark`.
pub(crate) fn fenced(document: &str, mark: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        let Some(found) = line.strip_prefix("```") else {
            continue;
        };
        let block = lines.by_ref().take_while(|line| *line != "```");
        let block: String = block.map(|line| format!("{line}\n")).collect();
        if found == mark {
            blocks.push(block);
        }
    }
    blocks
}

fn documents() -> Vec<PathBuf> {
    let crates = entries("crates");
    let folders = [PathBuf::new(), "docs".into(), "tests/traces".into()];
    let folders = folders.into_iter().chain(crates);
    let files = folders.flat_map(entries);
    files
        .filter(|file| file.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

/// A link of a document: `[text](target)`.
struct Link {
    document: PathBuf,
    text: String,
    target: String,
}

fn links(document: &Path) -> Vec<Link> {
    let text = read(document);
    let parts: Vec<_> = text.split("](").collect();
    let link = |pair: &[&str]| Link {
        document: document.to_owned(),
        text: pair[0].rsplit('[').next().unwrap().to_owned(),
        target: pair[1].split(')').next().unwrap().to_owned(),
    };
    parts.windows(2).map(link).collect()
}

impl Link {
    /// The file it leads to, if it stays in this house.
    fn file(&self) -> Option<PathBuf> {
        let outside = self.target.contains("://") || self.target.starts_with('#');
        let file = self.target.split('#').next().filter(|_| !outside)?;
        Some(self.document.parent().unwrap().join(file))
    }
}

#[test]
fn every_relative_link_leads_somewhere() {
    let links: Vec<_> = documents().iter().flat_map(|file| links(file)).collect();
    let inside: Vec<_> = links.iter().filter(|link| link.file().is_some()).collect();
    assert!(inside.len() > 20, "only {} links were read", inside.len());
    let broken = inside.iter().filter(|link| {
        let file = link.file().unwrap();
        !root().join(file).exists()
    });
    let broken: Vec<_> = broken
        .map(|link| format!("{}: {}", link.document.display(), link.target))
        .collect();
    assert!(broken.is_empty(), "links that lead nowhere: {broken:#?}");
}

/// A test is named as a link to its file: ``[`name_of_the_test`](../tests/retry.rs)``.
#[test]
fn every_test_that_is_named_is_there() {
    let links = links(Path::new("docs/from-go-micro.md"));
    let named: Vec<_> = links
        .iter()
        .filter(|link| link.target.ends_with(".rs") && !link.text.contains('.'))
        .collect();
    assert!(named.len() > 10, "only {} names were read", named.len());
    let missing = named.iter().filter(|link| {
        let test = format!("fn {}(", link.text.trim_matches('`'));
        !read(link.file().unwrap()).contains(&test)
    });
    let missing: Vec<_> = missing
        .map(|link| format!("{} in {}", link.text, link.target))
        .collect();
    assert!(missing.is_empty(), "tests that are not there: {missing:#?}");
}

/// The rows of the table of differences.
fn differences() -> Vec<String> {
    let text = read("docs/from-go-micro.md");
    let (_, table) = text
        .split_once("\n## Where it differs on purpose\n")
        .expect("the document has this heading");
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.map(String::from).collect()
}

#[test]
fn a_deliberate_difference_has_a_test() {
    let rows = differences();
    assert!(rows.len() > 10, "only {} rows were read", rows.len());
    let untested: Vec<_> = rows.iter().filter(|row| !row.contains(".rs)")).collect();
    assert!(untested.is_empty(), "without a test: {untested:#?}");
}

#[test]
fn a_difference_that_the_replay_passes_over_is_told() {
    let source = read("tests/conformance/deliberate.rs");
    let (_, body) = source.split_once("fn difference(").unwrap();
    let (body, _) = body.split_once("\n}\n").unwrap();
    let texts = body.split('"').skip(1).step_by(2);
    let is_name = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    let names: Vec<_> = texts.filter(|text| is_name(text)).collect();
    assert!(names.len() > 5, "only {names:?} were read");
    let rows = differences();
    let told = |name: &str| {
        rows.iter()
            .any(|row| row.starts_with(&format!("| `{name}` |")))
    };
    let untold: Vec<_> = names.iter().filter(|name| !told(name)).collect();
    assert!(
        untold.is_empty(),
        "not in docs/from-go-micro.md: {untold:?}"
    );
}
