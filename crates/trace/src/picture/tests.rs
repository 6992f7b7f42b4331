use std::time::{Duration, SystemTime};

use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{Event, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter, SpanLinks};

use super::*;

/// A span from one millisecond to another.
fn span(
    id: u8,
    parent: u8,
    name: &'static str,
    kind: SpanKind,
    ms: (u64, u64),
    code: &'static str,
) -> SpanData {
    let time =
        |ms| SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000) + Duration::from_millis(ms);
    let of = |id: u8| SpanId::from_bytes(u64::from(id).to_be_bytes());
    let status = match code {
        "OK" | "" => Status::Unset,
        _ => Status::error(""),
    };
    SpanData {
        span_context: SpanContext::new(
            TraceId::from(7),
            of(id),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        ),
        parent_span_id: of(parent),
        parent_span_is_remote: false,
        span_kind: kind,
        name: name.into(),
        start_time: time(ms.0),
        end_time: time(ms.1),
        attributes: vec![KeyValue::new("rpc.response.status_code", code)],
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status,
        instrumentation_scope: InstrumentationScope::default(),
    }
}

fn attempt(
    id: u8,
    number: i64,
    node: &'static str,
    ms: (u64, u64),
    code: &'static str,
) -> SpanData {
    let mut span = span(id, 1, "a.B/C attempt", SpanKind::Internal, ms, code);
    span.attributes
        .push(KeyValue::new("tower_micro.attempt", number));
    span.attributes
        .push(KeyValue::new("tower_micro.node.id", node));
    span
}

/// A call that was tried twice, out of order.
fn retried() -> Vec<SpanData> {
    let mut call = span(1, 0, "a.B/C", SpanKind::Client, (0, 80), "OK");
    call.attributes
        .push(KeyValue::new("tower_micro.attempts", 2));
    let mut failed = attempt(2, 1, "n<0>", (0, 20), "UNAVAILABLE");
    failed
        .attributes
        .push(KeyValue::new("tower_micro.disposition", "unprocessed"));
    vec![
        span(4, 3, "a.B/C", SpanKind::Server, (34, 78), "OK"),
        attempt(3, 2, "n1", (30, 80), "OK"),
        failed,
        call,
    ]
}

#[test]
fn a_waterfall_shows_who_worked_when() {
    let traces = Trace::all(&retried());
    assert_eq!(traces.len(), 1);
    let expected = "\
a.B/C               ├──────────────────────────────────────┤   80.0 ms  OK after 2 attempts
  attempt 1 → n<0>  ├────────┤                                 20.0 ms  UNAVAILABLE (unprocessed)
  pause                       ·····                            10.0 ms
  attempt 2 → n1                   ├───────────────────────┤   50.0 ms  OK
    a.B/C (server)                   ├────────────────────┤    44.0 ms  OK
";
    assert_eq!(traces[0].waterfall(), expected);
    assert_eq!(traces[0].attempts(), 2);
    assert_eq!(traces[0].length(), Duration::from_millis(80));
}

#[test]
fn a_name_cannot_forge_a_row_nor_colour_the_terminal() {
    let call = span(1, 0, "a.B/C", SpanKind::Client, (0, 80), "OK\r");
    let trace = &Trace::all(&[call, attempt(2, 1, "n\n\u{1b}[31m", (0, 20), "OK")])[0];
    let text = trace.waterfall();
    assert_eq!(text.lines().count(), 2);
    let is_foreign = |letter: char| letter.is_control() && letter != '\n';
    assert!(!text.contains(is_foreign), "{text:?}");
}

#[test]
fn the_order_of_ends_does_not_matter() {
    let mut spans = retried();
    let one = Trace::all(&spans)[0].svg();
    spans.reverse();
    assert_eq!(Trace::all(&spans)[0].svg(), one);
}

#[test]
fn a_failed_attempt_without_a_span_is_a_cross() {
    let mut call = span(1, 0, "a.B/C", SpanKind::Client, (0, 40), "OK");
    let told = vec![
        KeyValue::new("tower_micro.attempt", 1),
        KeyValue::new("tower_micro.node.id", "n0"),
        KeyValue::new("rpc.response.status_code", "UNAVAILABLE"),
    ];
    let at = call.start_time + Duration::from_millis(10);
    call.events
        .events
        .push(Event::new("attempt failed", at, told, 0));
    call.events
        .events
        .push(Event::new("something of the program's", at, Vec::new(), 0));
    let trace = &Trace::all(&[call])[0];
    let expected = "\
a.B/C                    ├──────────────────────────────────────┤   40.0 ms  OK
  attempt 1 → n0 failed            ×                                         UNAVAILABLE
";
    assert_eq!(trace.waterfall(), expected);
    assert_eq!(trace.attempts(), 1);
}

#[test]
fn orphans_circles_and_spans_without_length_are_drawn_too() {
    let orphan = span(2, 9, "orphan", SpanKind::Internal, (5, 5), "");
    let circle = span(3, 3, "circle", SpanKind::Internal, (5, 6), "");
    let mutual = [(4, 5, "four"), (5, 4, "five")]
        .map(|(id, parent, name)| span(id, parent, name, SpanKind::Internal, (5, 6), ""));
    let [four, five] = mutual;
    let text = Trace::all(&[orphan, circle, four, five])[0].waterfall();
    let names: Vec<_> = text.lines().map(|line| line[..8].trim_end()).collect();
    assert_eq!(names, ["orphan", "circle", "five", "  four"], "{text}");
    assert!(Trace::all(&Vec::<SpanData>::new()).is_empty());
}

#[test]
fn a_page_is_whole_and_holds_nothing_that_runs() {
    let page = Trace::all(&retried())[0].html("a <b> & c");
    assert!(page.contains("<title>a &lt;b&gt; &amp; c</title>"));
    assert!(page.contains("attempt 1 → n&lt;0&gt;"));
    for foreign in ["<script", "src=", "href=", "url(", "n<0>"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

#[test]
fn the_onion_tells_the_time_of_each_ring() {
    let layers = [
        ("per call", "options"),
        ("per call", "retry"),
        ("per attempt", "pick"),
        ("per node", "transport"),
    ];
    let traces = Trace::all(&retried());
    let svg = onion(layers, traces.first());
    for told in [
        "80.0 ms in all, 10.0 ms here",
        "70.0 ms in all, 26.0 ms here",
        "44.0 ms",
    ] {
        assert!(svg.contains(&format!(">{told}<")), "{told}: {svg}");
    }
    let bare = onion(layers, None);
    assert!(!bare.contains("ms") && bare.contains(">pick<"));
    assert_eq!(bare.matches("class=\"ring\"").count(), 3);
    let many = onion((0..40).map(|number| (number, "layer")), None);
    assert_eq!(many.matches("class=\"ring\"").count(), 40);
}

#[tokio::test]
async fn a_recorder_forgets_the_oldest_first() {
    let recorder = Recorder::up_to(1);
    recorder.export(retried()).await.unwrap();
    let traces = recorder.traces();
    assert_eq!(traces[0].waterfall().lines().count(), 1);
    assert!(traces[0].waterfall().starts_with("a.B/C  "));
}

#[test]
fn a_trace_may_be_as_deep_as_a_recorder_has_room() {
    let nested = (1..=4096_u64).map(|number| {
        let mut span = span(0, 0, "nested", SpanKind::Internal, (0, 1), "");
        let of = |number: u64| SpanId::from_bytes(number.to_be_bytes());
        let context = &span.span_context;
        span.span_context = SpanContext::new(
            context.trace_id(),
            of(number),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        );
        span.parent_span_id = of(number - 1);
        span
    });
    let nested: Vec<_> = nested.collect();
    let trace = &Trace::all(&nested)[0];
    assert_eq!(trace.waterfall().lines().count(), nested.len());
    assert_eq!(trace.svg().matches("<title>nested").count(), nested.len());
}
