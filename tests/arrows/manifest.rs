//! What a `Cargo.toml` says of dependencies.

/// A line of a section of dependencies.
#[derive(Debug)]
pub(super) struct Dependency {
    /// The package, whatever it is called here.
    pub(super) package: String,
    /// All that is said of it.
    pub(super) settings: String,
}

impl Dependency {
    fn read(line: &str) -> Option<Self> {
        let (name, settings) = line.split_once('=')?;
        let name = name.split('.').next().unwrap_or(name).trim();
        let renamed = settings
            .split_once("package = \"")
            .and_then(|(_, rest)| rest.split('"').next());
        Some(Self {
            package: renamed.unwrap_or(name).to_owned(),
            settings: settings.trim().to_owned(),
        })
    }

    pub(super) fn is_optional(&self) -> bool {
        self.settings.contains("optional = true")
    }
}

/// The dependencies of a crate, those for its tests left out.
pub(super) fn dependencies(manifest: &str) -> Vec<Dependency> {
    sections(manifest)
        .filter(|(heading, _)| is_of_dependencies(heading))
        .flat_map(|(_, lines)| lines.lines().filter_map(Dependency::read))
        .collect()
}

/// The lines of one section.
pub(super) fn section<'a>(manifest: &'a str, heading: &str) -> &'a str {
    let mut sections = sections(manifest);
    let found = sections.find(|(found, _)| *found == heading);
    found.map_or("", |(_, lines)| lines)
}

fn sections(manifest: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut sections = manifest.split("\n[");
    sections.next();
    sections.filter_map(|section| section.split_once("]\n"))
}

fn is_of_dependencies(heading: &str) -> bool {
    heading.ends_with("dependencies") && heading != "dev-dependencies"
}

#[test]
fn a_renamed_dependency_is_told_by_its_package() {
    let manifest = "\n[package]\nname = \"a\"\n\n[dependencies]\nb.workspace = true\n\
                    c = { package = \"d\", optional = true }\n\n[dev-dependencies]\ne = \"1\"\n";
    let found = dependencies(manifest);
    let packages: Vec<_> = found.iter().map(|found| found.package.as_str()).collect();
    assert_eq!(packages, ["b", "d"]);
    assert!(found[1].is_optional() && !found[0].is_optional());
}
