//! What go-micro's client was recorded doing, done again by ours, event for event.
//!
//! `tests/traces/` holds what go-micro v2.9.1 and v4.11.0 did; its README says how to read it. Every scenario of their gRPC client
//! that makes calls or opens streams, and every plain function, is replayed with the preset of the version. What cannot be alike is not applicable, by
//! the name of a difference in `docs/from-go-micro.md`.
//!
//! `TOWER_MICRO_TRACES` names one more file of the same schema.

mod call;

mod choice;

mod choices;

mod client;

mod compare;

mod deliberate;

mod events;

mod expected;

mod functions;

mod real;

mod recorder;

mod report;

mod scenario;

mod selector;

mod stream;

mod transport;

mod wrappers;

use std::path::Path;

use self::{report::Report, scenario::Traces};

/// Where the project is.
fn root() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap()
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn replay(file: &Path) -> Report {
    let traces: Traces = serde_json::from_str(&read(file)).unwrap();
    let report = Report::of(&traces);
    let name = file.file_name().unwrap().to_string_lossy();
    let of = match traces.go_micro.as_str() {
        "" => "by its source",
        recorded => recorded,
    };
    report.print(&format!("{name} (go-micro {of})"));
    assert!(
        report.is_clean(),
        "what differs is printed above; something must be replayed"
    );
    report
}

/// Replays recordings of ours, in which nothing is unknown: what is not applicable is a difference that the document names.
fn public(name: &str) {
    let report = replay(&root().join("tests/traces").join(name));
    let document = read(&root().join("docs/from-go-micro.md"));
    for reason in report.reasons() {
        let named = document.contains(&format!("| `{reason}` |"));
        assert!(named, "docs/from-go-micro.md has no line for `{reason}`");
    }
}

#[test]
fn the_preset_go_micro_v2_does_what_v2_9_1_did() {
    public("public-v2.json");
}

#[test]
fn the_preset_go_micro_v4_does_what_v4_11_0_did() {
    public("public-v4.json");
}

#[test]
fn what_was_not_recorded_is_as_the_source_of_go_micro_says() {
    let report = replay(&root().join("tests/traces/derived.json"));
    assert_eq!(report.reasons().count(), 0, "all of it is applicable");
}

#[test]
fn the_file_that_tower_micro_traces_names_is_replayed_too() {
    if let Some(file) = std::env::var_os("TOWER_MICRO_TRACES") {
        replay(Path::new(&file));
    }
}
