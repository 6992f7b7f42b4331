//! `traceparent` and `tracestate` (W3C Trace Context, level 2).
//!
//! Stricter than the propagator of the OpenTelemetry SDK, which takes ids of any length and sends an empty `tracestate`.

use std::str::FromStr;

use ::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use opentelemetry::{
    propagation::{Extractor, Injector},
    trace::{SpanContext, TraceFlags, TraceState},
};

use super::hex::{self, Case, number, span_id, trace_id};

pub(super) const TRACEPARENT: &str = "traceparent";
pub(super) const TRACESTATE: &str = "tracestate";

/// Sampled, and that the trace id is random, which is handed on as it came (level 2, "Random Trace ID Flag"). Others are not known yet.
const KNOWN: TraceFlags = TraceFlags::new(0b11);

/// `00-<32 hex>-<16 hex>-<2 hex>`; a later version may have more behind it.
const LENGTH: usize = 55;

pub(super) fn extract(from: &dyn Extractor) -> Option<SpanContext> {
    let parents = from.get_all(TRACEPARENT)?;
    // More than one is none.
    let [parent] = parents.as_slice() else {
        return None;
    };
    let parent = parent.trim_matches([' ', '\t']);
    let (known, rest) = (parent.get(..LENGTH)?, &parent.as_bytes()[LENGTH..]);
    let mut parts = known.split('-');
    let version = two(parts.next()?).filter(|version| *version != 0xff)?;
    if !rest.is_empty() && (version == 0 || rest[0] != b'-') {
        return None;
    }
    let trace = whole(parts.next()?, 32).and_then(|id| trace_id(id, Case::Lower))?;
    let span = whole(parts.next()?, 16).and_then(|id| span_id(id, Case::Lower))?;
    let flags = TraceFlags::new(two(parts.next()?)?) & KNOWN;
    Some(SpanContext::new(trace, span, flags, true, state(from)))
}

fn whole(text: &str, length: usize) -> Option<&str> {
    (text.len() == length).then_some(text)
}

fn two(text: &str) -> Option<u8> {
    number(whole(text, 2)?, 2, Case::Lower).and_then(|number| number.try_into().ok())
}

/// A state that cannot be read does not spoil the parent.
fn state(from: &dyn Extractor) -> TraceState {
    let state = from.get_all(TRACESTATE).map(|lines| lines.join(","));
    let state = state.and_then(|state| TraceState::from_str(state.trim()).ok());
    state.unwrap_or_default()
}

pub(super) fn inject(span: &SpanContext, into: &mut dyn Injector) {
    let parent = parent(span);
    // All of it is ASCII.
    into.set(TRACEPARENT, String::from_utf8_lossy(&parent).into_owned());
    let state = span.trace_state().header();
    if !state.is_empty() {
        into.set(TRACESTATE, state);
    }
}

static NAMES: [HeaderName; 2] = [
    HeaderName::from_static(TRACEPARENT),
    HeaderName::from_static(TRACESTATE),
];

/// Whether `headers` name `span` as [`write`] does.
pub(super) fn names(span: &SpanContext, headers: &HeaderMap) -> bool {
    let value = headers.get(&NAMES[0]);
    span.is_valid() && value.is_some_and(|value| value.as_bytes() == parent(span))
}

/// The same for headers, without a look at what is known of them: their names are ready made, and clones of the value share it.
pub(super) fn write(span: &SpanContext, headers: &mut HeaderMap) {
    let [parent_name, state_name] = &NAMES;
    let value = HeaderValue::from_maybe_shared(Bytes::from_owner(parent(span)));
    let value = value.expect("digits and dashes are a value");
    headers.insert(parent_name, value);
    let state = span.trace_state().header();
    if !state.is_empty()
        && let Ok(state) = HeaderValue::try_from(state)
    {
        headers.insert(state_name, state);
    }
}

fn parent(span: &SpanContext) -> [u8; LENGTH] {
    let mut text = *b"00-................................-................-..";
    hex::write(&span.trace_id().to_bytes(), &mut text[3..35]);
    hex::write(&span.span_id().to_bytes(), &mut text[36..52]);
    let flags = span.trace_flags() & KNOWN;
    hex::write(&[flags.to_u8()], &mut text[53..]);
    text
}
