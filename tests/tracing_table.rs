//! What a trace must be: one tree, each span with the attributes of its kind and no other.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::tracing_support::Seen;

/// The only trace there is, as an indented tree of `name kind status`. It has one root, no orphan, and no child outlives its parent by
/// more than a server's last words may.
pub(crate) fn tree(seen: &[Seen]) -> String {
    let traces: BTreeSet<_> = seen.iter().map(|span| &span.trace).collect();
    assert_eq!(traces.len(), 1, "one trace: {seen:#?}");
    let ids: BTreeSet<_> = seen.iter().map(|span| &span.id).collect();
    assert_eq!(ids.len(), seen.len(), "each span once: {seen:#?}");
    let is_root = |span: &&Seen| span.parent.is_empty();
    let orphans = seen
        .iter()
        .filter(|span| !is_root(span) && !ids.contains(&span.parent));
    assert_eq!(orphans.count(), 0, "no orphan: {seen:#?}");
    assert_eq!(
        seen.iter().filter(is_root).count(),
        1,
        "one root: {seen:#?}"
    );
    let mut text = String::new();
    draw(seen, "", 0, &mut text);
    text
}

fn draw(seen: &[Seen], parent: &str, depth: usize, text: &mut String) {
    for span in seen.iter().filter(|span| span.parent == parent) {
        check(span);
        let caller = seen.iter().find(|caller| caller.id == parent);
        assert!(
            is_where_it_came_from(span, caller),
            "a handler stands under its call or attempt: {seen:#?}"
        );
        let mut calls = seen.iter().filter(|call| call.kind == SpanKind::Client);
        let call = calls.find(|call| call.id == parent);
        if let Some(call) = call.filter(|_| span.attributes.contains_key("tower_micro.attempt")) {
            assert!(
                span.nanos.1 <= call.nanos.1,
                "an attempt ends in its call: {seen:#?}"
            );
        }
        let kind = format!("{:?}", span.kind).to_uppercase();
        let mark = if span.is_error { " !" } else { "" };
        let line = [&span.name, &*kind, span.status()].join(" ");
        *text += &format!("{}{}{mark}\n", "  ".repeat(depth), line.trim_end());
        for event in &span.events {
            *text += &format!("{}- {event}\n", "  ".repeat(depth + 1));
        }
        draw(seen, &span.id, depth + 1, text);
    }
}

/// Whether `span`, if it is a handler's, stands under the attempt that it was told it came from, or at least under some call or attempt.
fn is_where_it_came_from(span: &Seen, caller: Option<&Seen>) -> bool {
    if span.kind != SpanKind::Server {
        return true;
    }
    let told = span.came_from();
    let calls = |caller: &Seen| {
        caller.kind == SpanKind::Client || caller.attributes.contains_key("tower_micro.attempt")
    };
    (told.is_empty() || told == span.parent) && caller.is_none_or(calls)
}

/// Keys by the kind of span: those it must have, and those it may.
const TABLE: [(&str, SpanKind, &[&str], &[&str]); 5] = [
    (
        "call",
        SpanKind::Client,
        &[
            "rpc.system.name",
            "rpc.method",
            "server.address",
            "rpc.response.status_code",
        ],
        &[
            "error.type",
            "network.peer.address",
            "network.peer.port",
            "tower_micro.node.id",
            "tower_micro.attempts",
        ],
    ),
    (
        "attempt",
        SpanKind::Internal,
        &["tower_micro.attempt", "rpc.response.status_code"],
        &[
            "error.type",
            "network.peer.address",
            "network.peer.port",
            "tower_micro.node.id",
            "tower_micro.disposition",
            "previous-rpc-attempts",
        ],
    ),
    (
        "handler",
        SpanKind::Server,
        &["rpc.system.name", "rpc.method", "rpc.response.status_code"],
        &["error.type", "rpc.method_original"],
    ),
    (
        "http call",
        SpanKind::Client,
        &[
            "http.request.method",
            "url.full",
            "server.address",
            "server.port",
        ],
        &[
            "error.type",
            "http.request.method_original",
            "http.response.status_code",
        ],
    ),
    (
        "http handler",
        SpanKind::Server,
        &["http.request.method", "url.path", "url.scheme"],
        &[
            "error.type",
            "http.request.method_original",
            "http.response.status_code",
            "http.route",
        ],
    ),
];

/// Never: the names that the conventions gave up, the one they will have, and whatever comes from headers without being asked for.
const FORBIDDEN: [&str; 9] = [
    "rpc.system",
    "rpc.service",
    "rpc.grpc.status_code",
    "rpc.status_code",
    "net.peer.name",
    "http.method",
    "http.url",
    "code.file.path",
    "thread.id",
];

/// Holds one span against the table.
pub(crate) fn check(span: &Seen) {
    let is_http = span.attributes.contains_key("http.request.method");
    let is_ours = is_http
        || span.attributes.contains_key("rpc.method")
        || span.attributes.contains_key("tower_micro.attempt");
    let mut rows = TABLE.iter().filter(|_| is_ours);
    let row =
        rows.find(|(name, kind, ..)| *kind == span.kind && name.starts_with("http") == is_http);
    let Some((name, _, required, optional)) = row else {
        assert!(!is_ours, "no span of ours is of this kind: {span:#?}");
        return;
    };
    for key in *required {
        assert!(!span.get(key).is_empty(), "{name} without {key}: {span:#?}");
    }
    for key in span.attributes.keys() {
        let is_known = required.contains(&key.as_str()) || optional.contains(&key.as_str());
        let is_allowed = is_known || key.starts_with("rpc.request.metadata.");
        assert!(
            is_allowed && !FORBIDDEN.contains(&key.as_str()),
            "{name} with {key}"
        );
    }
    assert!(
        span.nanos.0 <= span.nanos.1,
        "it ends after it began: {span:#?}"
    );
    let has_type = !span.get("error.type").is_empty();
    assert_eq!(has_type, span.is_error, "an error says which: {span:#?}");
    for number in [
        "tower_micro.attempt",
        "network.peer.port",
        "http.response.status_code",
    ] {
        let value = span.get(number);
        assert!(
            value.is_empty() || value.starts_with("int "),
            "{number} is {value}"
        );
    }
}
