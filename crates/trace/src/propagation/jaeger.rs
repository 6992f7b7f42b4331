//! Jaeger's `uber-trace-id`: `{trace}:{span}:{parent}:{flags}` (jaegertracing.io, "Client libraries", propagation format).
//!
//! Ids have no fixed length: leading zeros may be missing. The parent is ignored, as Jaeger says. The crate
//! opentelemetry-jaeger-propagator stands still at an older OpenTelemetry.

use opentelemetry::{
    propagation::{Extractor, Injector},
    trace::{SpanContext, TraceFlags, TraceState},
};

use super::hex::{Case, number, span_id, trace_id};

pub(super) const ID: &str = "uber-trace-id";
/// What stands before the name of a baggage entry.
pub(super) const BAGGAGE: &str = "uberctx-";

const SAMPLED_OR_DEBUG: u128 = 0b11;

pub(super) fn extract(from: &dyn Extractor) -> Option<SpanContext> {
    let id = from.get(ID)?.trim();
    // Some clients encode it as they would in a URL.
    let id = id.replace("%3A", ":").replace("%3a", ":");
    let parts: Vec<_> = id.splitn(5, ':').collect();
    let [trace, span, parent, flags] = parts.as_slice() else {
        return None;
    };
    number(parent, 16, Case::Any).or_else(|| parent.is_empty().then_some(0))?;
    let sampled = number(flags, 2, Case::Any)? & SAMPLED_OR_DEBUG != 0;
    let flags = TraceFlags::NOT_SAMPLED.with_sampled(sampled);
    let (trace, span) = (trace_id(trace, Case::Any)?, span_id(span, Case::Any)?);
    let state = TraceState::NONE;
    Some(SpanContext::new(trace, span, flags, true, state))
}

pub(super) fn inject(span: &SpanContext, into: &mut dyn Injector) {
    let (trace, id) = (span.trace_id(), span.span_id());
    let sampled = u8::from(span.is_sampled());
    into.set(ID, format!("{trace}:{id}:0:{sampled}"));
}
