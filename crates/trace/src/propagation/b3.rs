//! Zipkin's `b3` and `x-b3-…` (github.com/openzipkin/b3-propagation), which go-micro sends with its Zipkin tracer.
//!
//! A trace id has 16 or 32 digits. `debug` counts as sampled. So does a caller who leaves the decision to us: there is no third
//! state in a span context, and a trace that was not wanted can still be thrown away by a collector.

use opentelemetry::{
    propagation::{Extractor, Injector},
    trace::{SpanContext, TraceFlags, TraceState},
};

use super::hex::{Case, span_id, trace_id};

pub(super) const SINGLE: &str = "b3";
pub(super) const TRACE: &str = "x-b3-traceid";
pub(super) const SPAN: &str = "x-b3-spanid";
pub(super) const SAMPLED: &str = "x-b3-sampled";
pub(super) const FLAGS: &str = "x-b3-flags";
pub(super) const PARENT: &str = "x-b3-parentspanid";

/// `{trace}-{span}`, with `-{sampled}` and `-{parent}` behind them or not.
pub(super) fn extract_single(from: &dyn Extractor) -> Option<SpanContext> {
    let mut parts = from.get(SINGLE)?.trim().split('-');
    let (trace, span) = (parts.next()?, parts.next()?);
    let sampled = parts.next();
    if parts
        .next()
        .is_some_and(|parent| span_id(parent, Case::Any).is_none())
    {
        return None;
    }
    if parts.next().is_some() {
        return None;
    }
    context(trace, span, sampled)
}

pub(super) fn extract_multi(from: &dyn Extractor) -> Option<SpanContext> {
    let debug = from.get(FLAGS).is_some_and(|flags| flags.trim() == "1");
    let sampled = from.get(SAMPLED).map(str::trim).filter(|_| !debug);
    context(from.get(TRACE)?.trim(), from.get(SPAN)?.trim(), sampled)
}

fn context(trace: &str, span: &str, sampled: Option<&str>) -> Option<SpanContext> {
    if !matches!(trace.len(), 16 | 32) || span.len() != 16 {
        return None;
    }
    let flags = match sampled {
        None | Some("1" | "d" | "true") => TraceFlags::SAMPLED,
        Some("0" | "false") => TraceFlags::NOT_SAMPLED,
        Some(_) => return None,
    };
    let (trace, span) = (trace_id(trace, Case::Any)?, span_id(span, Case::Any)?);
    let state = TraceState::NONE;
    Some(SpanContext::new(trace, span, flags, true, state))
}

pub(super) fn inject_single(span: &SpanContext, into: &mut dyn Injector) {
    let (trace, id, sampled) = (span.trace_id(), span.span_id(), digit(span));
    into.set(SINGLE, format!("{trace}-{id}-{sampled}"));
}

pub(super) fn inject_multi(span: &SpanContext, into: &mut dyn Injector) {
    into.set(TRACE, span.trace_id().to_string());
    into.set(SPAN, span.span_id().to_string());
    into.set(SAMPLED, digit(span).to_string());
}

fn digit(span: &SpanContext) -> u8 {
    u8::from(span.is_sampled())
}
