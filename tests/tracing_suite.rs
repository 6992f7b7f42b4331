//! Every span of the whole suite against the table, and every trace as a tree; and what every call carried is told by none of them, by no
//! log and by no error.
//!
//! Two runs, which `cargo xtask test` makes: one of the suite whose spans go to a collector, which writes them into a file, and one of
//! the test below that reads it.

use std::{collections::BTreeMap, env, fs, panic::catch_unwind};

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::{
    support::{CAME_FROM, CANARY, ENDED, FILE, leak, words_of},
    tracing_support::Seen,
    tracing_table::tree,
};

/// Fewer spans than these are not the suite, which has some 290 000.
const SPANS: usize = 200_000;

/// Nor are fewer handlers that know the attempt they came from, of some 9 600.
const HANDLERS: usize = 5_000;

/// The spans of a run that left `text`. None was lost on the way to the collector, and nothing told the canary.
fn received(text: &str) -> Vec<Seen> {
    let leaks = text.lines().filter(|line| line.contains(CANARY));
    assert_eq!(leaks.collect::<Vec<_>>(), [""; 0]);
    let (spans, others): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with('['));
    let (ended, wrong): (Vec<_>, Vec<_>) = others.into_iter().partition(|line| *line == ENDED);
    assert_eq!(wrong, [""; 0]);
    assert_eq!(spans.len(), ended.len(), "what has ended has been received");
    spans.into_iter().map(Seen::from_line).collect()
}

/// What is wrong with the traces that `seen` is, each by itself.
fn faults(seen: Vec<Seen>) -> Vec<String> {
    let mut traces: BTreeMap<String, Vec<Seen>> = BTreeMap::new();
    for span in seen {
        traces.entry(span.trace.clone()).or_default().push(span);
    }
    let traces = traces.into_values();
    let checked = traces.map(|trace| catch_unwind(move || drop(tree(&trace))));
    checked
        .filter_map(|checked| checked.err().map(|fault| words_of(&*fault).to_owned()))
        .collect()
}

#[test]
#[ignore = "reads the spans of a run before it: cargo xtask test"]
fn every_span_of_the_suite_is_as_the_table_says_and_every_trace_is_a_tree() {
    let file = env::var_os(FILE).expect("the variable names the file of spans");
    let text = fs::read_to_string(file).unwrap();
    let seen = received(&text);
    let count = |is: fn(&&Seen) -> bool| seen.iter().filter(is).count();
    let (spans, calls) = (seen.len(), count(|span| span.is_call()));
    let handlers = count(|span| !span.came_from().is_empty());
    println!(
        "{spans} spans received: {calls} of calls, {handlers} of handlers that know the attempt they came from"
    );
    let faults = faults(seen);
    let some = faults.iter().take(5).map(String::as_str);
    let some: Vec<_> = some.collect();
    assert_eq!(faults.len(), 0, "{}", some.join("\n\n"));
    assert!(
        spans > SPANS && handlers > HANDLERS,
        "this is not the suite"
    );
}

/// A call that went well.
fn call() -> Seen {
    let attributes = [
        ("rpc.system.name", "grpc"),
        ("rpc.method", "greeter.Greeter/SayHello"),
        ("server.address", "greeter"),
        ("rpc.response.status_code", "OK"),
    ];
    let attribute = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    Seen {
        name: "greeter.Greeter/SayHello".into(),
        trace: "a".into(),
        id: "1".into(),
        parent: String::new(),
        kind: SpanKind::Client,
        attributes: attributes.into_iter().map(attribute).collect(),
        events: vec!["retry".into()],
        is_error: false,
        description: String::new(),
        nanos: (1, 2),
    }
}

#[test]
fn a_text_that_tells_the_canary_is_a_line_and_no_other_is() {
    assert!(
        leak(&format!("metadata={CANARY}\n"))
            .unwrap()
            .contains(CANARY)
    );
    assert_eq!(leak("metadata=[hidden]"), None);
}

#[test]
fn a_line_is_a_span() {
    let read = Seen::from_line(&call().to_line());
    assert_eq!(format!("{read:?}"), format!("{:?}", call()));
}

/// Why a file that says `lines` and one span is not taken.
fn refusal(lines: &str) -> String {
    let text = format!("{lines}\n{}\n", call().to_line());
    let refused = catch_unwind(|| received(&text)).unwrap_err();
    words_of(&*refused).to_owned()
}

#[test]
fn spans_that_have_ended_and_were_not_received_are_missed() {
    let text = format!("{ENDED}\n{}\n", call().to_line());
    assert_eq!(received(&text).len(), 1);
    let missed = refusal(&format!("{ENDED}\n{ENDED}"));
    assert!(missed.contains("has been received"), "{missed}");
    let lost = refusal(&format!("{ENDED}\nlost: 1 spans: no time"));
    assert!(lost.contains("1 spans: no time"), "{lost}");
    let told = refusal(&format!("{ENDED}\n{}", leak(CANARY).unwrap()));
    assert!(told.contains("told:"), "{told}");
}

#[test]
fn what_is_wrong_with_a_trace_is_found() {
    assert_eq!(faults(vec![call()]), [""; 0]);
    let change = |change: fn(&mut Seen)| {
        let mut changed = call();
        change(&mut changed);
        faults(vec![call(), changed]).join("\n")
    };
    let orphan = change(|span| (span.id, span.parent) = ("2".into(), "3".into()));
    assert!(orphan.contains("no orphan"), "{orphan}");
    let twice = change(|_| {});
    assert!(twice.contains("each span once"), "{twice}");
    let root = change(|span| span.id = "2".into());
    assert!(root.contains("one root"), "{root}");
    let child = |key: &'static str| {
        let mut child = call();
        (child.id, child.parent) = ("2".into(), "1".into());
        if child.attributes.remove(key).is_none() {
            child.attributes.insert(key.into(), "x".into());
        }
        faults(vec![call(), child]).join("\n")
    };
    let handler = |told: &str| {
        let mut handler = call();
        (handler.id, handler.parent) = ("2".into(), "1".into());
        handler.kind = SpanKind::Server;
        handler.attributes.remove("server.address");
        let key = format!("rpc.request.metadata.{CAME_FROM}");
        handler.attributes.insert(key, told.into());
        handler
    };
    assert_eq!(faults(vec![call(), handler("1")]), [""; 0]);
    let astray = faults(vec![call(), handler("3")]).join("\n");
    assert!(astray.contains("under its call or attempt"), "{astray}");
    let mut second = handler("2");
    (second.id, second.parent) = ("3".into(), "2".into());
    let handlers = faults(vec![call(), handler("1"), second]).join("\n");
    assert!(handlers.contains("under its call or attempt"), "{handlers}");
    let missing = child("server.address");
    assert!(missing.contains("without server.address"), "{missing}");
    let forbidden = child("net.peer.name");
    assert!(forbidden.contains("with net.peer.name"), "{forbidden}");
    let unsaid = child("error.type");
    assert!(unsaid.contains("an error says which"), "{unsaid}");
}
