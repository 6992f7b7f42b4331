use ::http::HeaderMap;
use opentelemetry::{
    KeyValue,
    trace::{SpanId, TraceFlags, TraceId, TraceState},
};
use proptest::prelude::*;

use super::*;

mod baggage;
mod others;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        let name: ::http::HeaderName = name.parse().unwrap();
        (
            name,
            ::http::HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        )
    };
    pairs.iter().map(pair).collect()
}

fn context(sampled: bool) -> Context {
    let state: TraceState = "congo=t61rcWkgMzE".parse().unwrap();
    let span = SpanContext::new(
        TraceId::from_hex(TRACE).unwrap(),
        SpanId::from_hex(SPAN).unwrap(),
        TraceFlags::NOT_SAMPLED.with_sampled(sampled),
        true,
        state,
    );
    Context::new().with_remote_span_context(span)
}

fn parent(propagation: &Propagation, pairs: &[(&str, &str)]) -> Option<(String, String, bool)> {
    let cx = propagation.extract_headers(&Context::new(), &headers(pairs))?;
    let span = cx.span().span_context().clone();
    assert!(span.is_remote());
    let sampled = span.is_sampled();
    Some((
        span.trace_id().to_string(),
        span.span_id().to_string(),
        sampled,
    ))
}

fn known(sampled: bool) -> Option<(String, String, bool)> {
    Some((TRACE.into(), SPAN.into(), sampled))
}

#[test]
fn each_format_is_written_as_its_documents_say() {
    let written = |format, sampled| {
        let mut headers = HeaderMap::new();
        let propagation = Propagation::none().inject([format]);
        propagation.inject_headers(&context(sampled), &mut headers);
        let pairs = headers.iter();
        let mut pairs: Vec<_> = pairs
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        pairs.sort();
        pairs
    };
    assert_eq!(
        written(Format::W3c, true),
        [
            &format!("traceparent: 00-{TRACE}-{SPAN}-01"),
            "tracestate: congo=t61rcWkgMzE"
        ]
    );
    assert_eq!(
        written(Format::B3Single, false),
        [format!("b3: {TRACE}-{SPAN}-0")]
    );
    assert_eq!(
        written(Format::B3Multi, true),
        [
            "x-b3-sampled: 1",
            &format!("x-b3-spanid: {SPAN}"),
            &format!("x-b3-traceid: {TRACE}")
        ]
    );
    assert_eq!(
        written(Format::Jaeger, true),
        [format!("uber-trace-id: {TRACE}:{SPAN}:0:1")]
    );
}

#[test]
fn what_one_writes_the_other_reads() {
    for format in Format::ALL {
        for sampled in [true, false] {
            let propagation = Propagation::none().inject([format]).extract([format]);
            let mut headers = HeaderMap::new();
            propagation.inject_headers(&context(sampled), &mut headers);
            let cx = propagation
                .extract_headers(&Context::new(), &headers)
                .unwrap();
            let span = cx.span().span_context().clone();
            assert_eq!(span.trace_id().to_string(), TRACE, "{format:?}");
            assert_eq!(span.span_id().to_string(), SPAN, "{format:?}");
            assert_eq!(span.is_sampled(), sampled, "{format:?}");
            let has_state = !span.trace_state().header().is_empty();
            assert_eq!(has_state, format == Format::W3c);
        }
    }
}

#[test]
fn that_a_trace_id_is_random_is_handed_on_and_what_is_not_known_is_not() {
    let propagation = Propagation::new();
    for (came, sent) in [
        ("00", "00"),
        ("02", "02"),
        ("03", "03"),
        ("fd", "01"),
        ("ff", "03"),
    ] {
        let parent = format!("00-{TRACE}-{SPAN}-{came}");
        let came = headers(&[("traceparent", &parent)]);
        let cx = propagation.extract_headers(&Context::new(), &came).unwrap();
        let mut out = HeaderMap::new();
        propagation.inject_headers(&cx, &mut out);
        let expected = format!("00-{TRACE}-{SPAN}-{sent}");
        assert_eq!(out["traceparent"], *expected);
    }
}

#[test]
fn parents_are_read_as_others_write_them() {
    let all = Propagation::new();
    let w3c = format!("00-{TRACE}-{SPAN}-01");
    assert_eq!(parent(&all, &[("traceparent", &w3c)]), known(true));
    // a later version, and flags that are not known yet
    let later = format!("cc-{TRACE}-{SPAN}-09-what-the-future-brings");
    assert_eq!(parent(&all, &[("traceparent", &later)]), known(true));
    assert_eq!(
        parent(&all, &[("b3", &format!("{TRACE}-{SPAN}-d-{SPAN}"))]),
        known(true)
    );
    assert_eq!(
        parent(&all, &[("b3", &format!("{TRACE}-{SPAN}"))]),
        known(true)
    );
    let multi = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN)];
    assert_eq!(parent(&all, &multi), known(true));
    let refused = [&multi[..], &[("x-b3-sampled", "0")]].concat();
    assert_eq!(parent(&all, &refused), known(false));
    let debugged = [&refused[..], &[("x-b3-flags", "1")]].concat();
    assert_eq!(parent(&all, &debugged), known(true));
    let jaeger = format!("{TRACE}:f067aa0ba902b7:0:1");
    assert_eq!(parent(&all, &[("uber-trace-id", &jaeger)]), known(true));
    let encoded = jaeger.replace(':', "%3A");
    assert_eq!(parent(&all, &[("uber-trace-id", &encoded)]), known(true));
}

// zipkin-go, which go-micro's examples use, has ids of 64 bits.
#[test]
fn a_short_trace_id_is_padded() {
    let all = Propagation::new();
    let padded = format!("0000000000000000{SPAN}");
    let expected = Some((padded, SPAN.to_owned(), true));
    assert_eq!(
        parent(&all, &[("b3", &format!("{SPAN}-{SPAN}-1"))]),
        expected
    );
    let jaeger = format!("{SPAN}:{SPAN}:0:1");
    assert_eq!(parent(&all, &[("uber-trace-id", &jaeger)]), expected);
}

#[test]
fn what_is_malformed_is_no_parent() {
    let all = Propagation::new();
    let (zero, upper) = ("0".repeat(32), TRACE.to_uppercase());
    let malformed = [
        ("traceparent", format!("00-{zero}-{SPAN}-01")),
        ("traceparent", format!("00-{TRACE}-0000000000000000-01")),
        ("traceparent", format!("00-{upper}-{SPAN}-01")),
        ("traceparent", format!("ff-{TRACE}-{SPAN}-01")),
        ("traceparent", format!("00-{TRACE}-{SPAN}-01-more")),
        ("traceparent", format!("00-{TRACE}-{SPAN}-1")),
        ("traceparent", format!("0-{TRACE}-{SPAN}-001")),
        ("traceparent", format!("00-+{}-{SPAN}-01", &TRACE[1..])),
        ("traceparent", format!("01-{TRACE}-{SPAN}-01.more")),
        ("traceparent", String::new()),
        ("b3", "0".into()),
        ("b3", format!("{TRACE}-{SPAN}-x")),
        ("b3", format!("{TRACE}-{SPAN}-1-{SPAN}-1")),
        ("b3", format!("{}-{SPAN}-1", &TRACE[1..])),
        ("uber-trace-id", format!("{TRACE}:{SPAN}:0")),
        ("uber-trace-id", format!("{TRACE}:{SPAN}:0:1:1")),
        ("uber-trace-id", format!("{TRACE}0:{SPAN}:0:1")),
        ("uber-trace-id", format!("0:{SPAN}:0:1")),
        ("uber-trace-id", format!("{TRACE}:{SPAN}:0:+1")),
    ];
    for (name, value) in &malformed {
        assert_eq!(parent(&all, &[(name, value)]), None, "{name}: {value}");
    }
    let w3c = format!("00-{TRACE}-{SPAN}-01");
    let twice = [("traceparent", &*w3c), ("traceparent", &*w3c)];
    assert_eq!(parent(&all, &twice), None);
    let half = [("x-b3-traceid", TRACE), ("x-b3-sampled", "1")];
    assert_eq!(parent(&all, &half), None);
}

#[test]
fn a_parent_that_cannot_be_read_leaves_the_next_format_its_turn() {
    let jaeger = format!("{TRACE}:{SPAN}:0:1");
    let both = [("traceparent", "00-broken"), ("uber-trace-id", &*jaeger)];
    assert_eq!(parent(&Propagation::new(), &both), known(true));
}

#[test]
fn two_formats_never_name_two_parents() {
    let stale = headers(&[
        ("b3", "1-1-1"),
        ("X-B3-TraceId", TRACE),
        ("x-tenant", "blue"),
    ]);
    let mut sent = stale;
    Propagation::new().inject_headers(&context(true), &mut sent);
    let mut names: Vec<_> = sent.keys().map(::http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["traceparent", "tracestate", "x-tenant"]);
}

#[test]
fn without_a_span_headers_stay_as_they_are() {
    let given = headers(&[("traceparent", "whatever the caller wrote")]);
    let mut sent = given.clone();
    Propagation::new().inject_headers(&Context::new(), &mut sent);
    assert_eq!(sent, given);
}

#[test]
fn go_micros_title_cased_metadata_is_read_and_written() {
    let mut metadata = tower_micro_call::Metadata::new();
    let formats = [Format::W3c, Format::B3Multi, Format::Jaeger];
    let propagation = Propagation::new().inject(formats);
    propagation.inject_context(&context(true), &mut MetadataCarrierMut(&mut metadata));
    let keys: Vec<_> = metadata.iter().map(|(key, _)| key.to_owned()).collect();
    let expected = [
        "Traceparent",
        "Tracestate",
        "X-B3-Traceid",
        "X-B3-Spanid",
        "X-B3-Sampled",
        "Uber-Trace-Id",
    ];
    assert_eq!(keys, expected);
    for format in formats {
        let propagation = Propagation::none().extract([format]);
        let carrier = MetadataCarrier(&metadata);
        let cx = propagation.extract_with_context(&Context::new(), &carrier);
        assert_eq!(cx.span().span_context().trace_id().to_string(), TRACE);
    }
}

#[test]
fn only_what_names_a_parent_that_can_be_read_is_one() {
    let propagation = Propagation::none()
        .inject([Format::B3Single])
        .extract([Format::W3c])
        .baggage(["tenant"]);
    let is_in = |name, value: &str| propagation.is_in(&headers(&[(name, value)]));
    let w3c = format!("00-{TRACE}-{SPAN}-01");
    assert!(is_in("traceparent", &w3c));
    assert!(is_in("b3", &format!("{TRACE}-{SPAN}-1")), "it is sent here");
    assert!(!is_in("baggage", "tenant=a"));
    assert!(!is_in("traceparent", "none"));
    let nobody = format!("00-{}-{}-00", "0".repeat(32), "0".repeat(16));
    assert!(!is_in("traceparent", &nobody));
    assert!(!is_in("uber-trace-id", &format!("{TRACE}:{SPAN}:0:1")));
    let sdk = opentelemetry_sdk::propagation::TraceContextPropagator::new();
    let others = Propagation::none().with(sdk);
    assert!(others.is_in(&headers(&[("traceparent", &w3c)])));
}

/// Text that is nearly a parent.
fn nearly() -> impl Strategy<Value = String> {
    let broken = prop_oneof![
        "[0-9a-f:%A-]{0,80}",
        "(00|01|ff|zz)-[0-9a-fA-F]{30,34}-[0-9a-f]{14,18}-[0-9a-f]{1,3}.{0,4}",
        "[0-9a-f]{1,33}:[0-9a-f]{1,17}:[0-9a-f]{0,17}:[0-9a-f]{0,3}",
        "[0-9a-f]{15,33}-[0-9a-f]{15,17}(-[01dx])?(-[0-9a-f]{15,17})?",
        any::<String>(),
    ];
    broken.boxed()
}

proptest! {
    #[test]
    fn no_header_makes_it_panic_and_what_is_read_is_valid(
        values in prop::collection::vec((0..9usize, nearly()), 1..6),
    ) {
        let names = ["traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid",
            "x-b3-sampled", "x-b3-flags", "uber-trace-id", "baggage"];
        let mut headers = HeaderMap::new();
        for (name, value) in &values {
            if let Ok(value) = ::http::HeaderValue::from_str(value) {
                headers.append(names[*name], value);
            }
        }
        let propagation = Propagation::new().inject(Format::ALL).baggage(["a"]);
        if let Some(cx) = propagation.extract_headers(&Context::new(), &headers) {
            let span = cx.span().span_context().clone();
            prop_assert!(span.is_valid() || !cx.baggage().is_empty());
            let mut sent = HeaderMap::new();
            propagation.inject_headers(&cx, &mut sent);
            let back = propagation.extract_headers(&Context::new(), &sent).unwrap();
            let back = back.span().span_context().clone();
            prop_assert_eq!(&back, &span);
        }
    }

    #[test]
    fn every_span_survives_every_format(trace in 1..=u128::MAX, id in 1..=u64::MAX, sampled: bool) {
        let span = SpanContext::new(
            TraceId::from_bytes(trace.to_be_bytes()),
            SpanId::from_bytes(id.to_be_bytes()),
            TraceFlags::NOT_SAMPLED.with_sampled(sampled),
            true,
            TraceState::NONE,
        );
        let cx = Context::new().with_remote_span_context(span.clone());
        for format in Format::ALL {
            let propagation = Propagation::none().inject([format]).extract([format]);
            let mut headers = HeaderMap::new();
            propagation.inject_headers(&cx, &mut headers);
            let back = propagation.extract_headers(&Context::new(), &headers).unwrap();
            let back = back.span().span_context().clone();
            prop_assert_eq!(&back, &span);
        }
    }
}

#[test]
fn a_parent_that_is_written_anew_takes_the_state_of_the_old_one_with_it() {
    let mut headers = headers(&[
        ("traceparent", &format!("00-{SPAN}{SPAN}-{SPAN}-01")),
        ("tracestate", "old=1"),
        ("te", "trailers"),
    ]);
    let span = context(true).span().span_context().clone();
    let bare = SpanContext::new(
        span.trace_id(),
        span.span_id(),
        span.trace_flags(),
        true,
        TraceState::NONE,
    );
    let cx = Context::new().with_remote_span_context(bare);
    Propagation::new().inject_headers(&cx, &mut headers);
    assert_eq!(headers["traceparent"], format!("00-{TRACE}-{SPAN}-01"));
    assert!(!headers.contains_key("tracestate") && headers.contains_key("te"));
}

#[test]
fn what_sends_nothing_takes_nothing_off() {
    let mut left = headers(&[("traceparent", &format!("00-{TRACE}-{SPAN}-01"))]);
    let reads = Propagation::none().extract(Format::ALL);
    assert!(!reads.inject_headers(&context(true), &mut left));
    assert_eq!(left.len(), 1);
}

#[test]
fn what_is_written_into_headers_is_what_any_carrier_gets() {
    for sampled in [true, false] {
        let cx = context(sampled);
        let (mut written, mut injected) = (HeaderMap::new(), HeaderMap::new());
        let propagation = Propagation::none().inject(Format::ALL);
        propagation.inject_headers(&cx, &mut written);
        propagation.inject_context(&cx, &mut HeadersMut(&mut injected));
        assert_eq!(written, injected);
    }
}
