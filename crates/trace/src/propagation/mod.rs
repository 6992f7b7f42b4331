//! What carries a trace from process to process.
//!
//! Sends W3C Trace Context and reads that, B3 (single and multi) and Jaeger, unless told otherwise. The first format that holds a whole
//! parent wins. What cannot be read is no parent and no error. Headers of a format that is known but not sent are taken off a
//! request that a context is written to, so that two of them never name two parents.
//!
//! # Units and defaults
//! | format | headers |
//! |---|---|
//! | [`Format::W3c`] | `traceparent`, `tracestate` |
//! | [`Format::B3Single`] | `b3` |
//! | [`Format::B3Multi`] | `x-b3-traceid`, `x-b3-spanid`, `x-b3-sampled`, `x-b3-flags` |
//! | [`Format::Jaeger`] | `uber-trace-id`; `uberctx-…` for baggage that is allowed |
//!
//! Baggage is not carried unless its keys are named with [`Propagation::baggage`]. But a `baggage` header of the call that a handler
//! serves is metadata to an `InboundLayer`, and goes out with the handler's calls, all of it, as all metadata does, unless keys are named.
//!
//! # Example
//! ```
//! use tower_micro_trace::{CallTraceLayer, Format, Propagation};
//!
//! // go-micro services behind us trace with Zipkin: send both, read whatever comes
//! let propagation = Propagation::new().inject([Format::W3c, Format::B3Multi]).baggage(["tenant"]);
//! let layer = CallTraceLayer::new().propagation(propagation);
//! # let _ = layer;
//! ```
//!
//! # Not here
//! `grpc-trace-bin`. Other formats: [`Propagation::with`] takes any propagator of OpenTelemetry's.

mod b3;
mod baggage;
mod carrier;
mod hex;
mod jaeger;
#[cfg(test)]
mod tests;
mod w3c;

use std::sync::Arc;

use ::http::HeaderMap;
use opentelemetry::{
    Context,
    baggage::BaggageExt,
    propagation::{Extractor, Injector, TextMapPropagator, text_map_propagator::FieldIter},
    trace::{SpanContext, TraceContextExt},
};

pub use carrier::{Headers, HeadersMut, MetadataCarrier, MetadataCarrierMut};

/// How a span is written into headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// W3C Trace Context.
    W3c,
    /// Zipkin's, in one header.
    B3Single,
    /// Zipkin's, in several; what go-micro sends with its Zipkin tracer.
    B3Multi,
    /// Jaeger's own; what go-micro sends with its Jaeger tracer.
    Jaeger,
}

impl Format {
    /// All of them, in the order in which they are looked for.
    pub const ALL: [Self; 4] = [Self::W3c, Self::B3Single, Self::B3Multi, Self::Jaeger];

    /// The headers it is made of.
    pub const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::W3c => &[w3c::TRACEPARENT, w3c::TRACESTATE],
            Self::B3Single => &[b3::SINGLE],
            Self::B3Multi => &[b3::TRACE, b3::SPAN, b3::SAMPLED, b3::FLAGS, b3::PARENT],
            Self::Jaeger => &[jaeger::ID],
        }
    }

    fn extract(self, from: &dyn Extractor) -> Option<SpanContext> {
        match self {
            Self::W3c => w3c::extract(from),
            Self::B3Single => b3::extract_single(from),
            Self::B3Multi => b3::extract_multi(from),
            Self::Jaeger => jaeger::extract(from),
        }
    }

    fn inject(self, span: &SpanContext, into: &mut dyn Injector) {
        match self {
            Self::W3c => w3c::inject(span, into),
            Self::B3Single => b3::inject_single(span, into),
            Self::B3Multi => b3::inject_multi(span, into),
            Self::Jaeger => jaeger::inject(span, into),
        }
    }
}

type Other = Arc<dyn TextMapPropagator + Send + Sync>;

/// Which formats are sent and read. Clones share everything. See the [module docs](self) for an example.
#[derive(Clone, Debug)]
pub struct Propagation(Arc<Settings>);

#[derive(Clone, Debug)]
struct Settings {
    inject: Vec<Format>,
    extract: Vec<Format>,
    others: Vec<Other>,
    baggage: Vec<String>,
    /// All headers that any of these are made of.
    fields: Vec<String>,
    /// Whether headers that begin as Jaeger's baggage does are fields too, whatever their key: only named ones are carried.
    jaegers: bool,
    /// The [`bit`]s of them: most headers are none of ours, and that is seen at once.
    bits: u128,
}

impl Default for Propagation {
    fn default() -> Self {
        Self::new()
    }
}

impl Propagation {
    /// Sends W3C Trace Context, and reads every [`Format`].
    pub fn new() -> Self {
        Self::none().inject([Format::W3c]).extract(Format::ALL)
    }

    /// Sends and reads nothing.
    pub fn none() -> Self {
        Self(Arc::new(Settings {
            inject: Vec::new(),
            extract: Vec::new(),
            others: Vec::new(),
            baggage: Vec::new(),
            fields: Vec::new(),
            jaegers: false,
            bits: 0,
        }))
    }

    /// Sends these formats, instead of those that were set.
    #[must_use]
    pub fn inject(self, formats: impl IntoIterator<Item = Format>) -> Self {
        self.change(|settings| settings.inject = formats.into_iter().collect())
    }

    /// Reads these formats, in this order, instead of those that were set.
    #[must_use]
    pub fn extract(self, formats: impl IntoIterator<Item = Format>) -> Self {
        self.change(|settings| settings.extract = formats.into_iter().collect())
    }

    /// Carries baggage of these keys, in both directions, and no other. What is no token (RFC 9110 §5.6.2) can be no key, and is left out.
    #[must_use]
    pub fn baggage<K: Into<String>>(self, keys: impl IntoIterator<Item = K>) -> Self {
        let keys = keys.into_iter().map(Into::into).filter(|key| is_token(key));
        self.change(|settings| settings.baggage = keys.collect())
    }

    /// Sends and reads what another propagator does, besides. A parent that it finds counts when no format has one; the rest of what it
    /// finds, baggage or values of its own, always.
    #[must_use]
    pub fn with(self, other: impl TextMapPropagator + Send + Sync + 'static) -> Self {
        self.change(|settings| settings.others.push(Arc::new(other)))
    }

    fn change(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        let settings = Arc::make_mut(&mut self.0);
        change(settings);
        settings.fields = settings.all_fields();
        settings.jaegers = !settings.baggage.is_empty() && settings.speaks(Format::Jaeger);
        let bits = settings.fields.iter().map(|field| bit(field));
        settings.bits = bits.fold(0, |all, one| all | one);
        self
    }

    /// Writes `cx` into `headers`, in place of whatever parent they named. Without a span in `cx`, or baggage that is sent, they stay as
    /// they are. Says whether they name a parent of `cx` now.
    pub fn inject_headers(&self, cx: &Context, headers: &mut HeaderMap) -> bool {
        let span = cx.span();
        let span = span.span_context();
        let names_parent = span.is_valid() && self.0.sends_parents();
        if !(names_parent || self.0.sends_baggage_of(cx)) {
            return false;
        }
        let is_written = span.is_valid() && self.0.inject.contains(&Format::W3c);
        self.clear(headers, is_written);
        for format in self.0.inject.iter().filter(|_| span.is_valid()) {
            match format {
                Format::W3c => w3c::write(span, headers),
                other => other.inject(span, &mut HeadersMut(headers)),
            }
        }
        self.0.inject_besides(cx, &mut HeadersMut(headers));
        names_parent
    }

    /// The same with the context that is current.
    pub(crate) fn inject_current(&self, headers: &mut HeaderMap) -> bool {
        self.with_current(|cx| self.inject_headers(cx, headers))
    }

    /// The same as [`extract_headers`](Self::extract_headers), on top of the context that is current.
    pub(crate) fn extract_on_current(&self, headers: &HeaderMap) -> Option<Context> {
        self.with_current(|cx| self.extract_headers(cx, headers))
    }

    /// While the current context is lent nobody can make another one current, which a propagator that is not ours may want to.
    fn with_current<T>(&self, run: impl FnOnce(&Context) -> T) -> T {
        if self.0.others.is_empty() {
            Context::map_current(run)
        } else {
            run(&Context::current())
        }
    }

    /// The parent that `headers` name, on top of `cx`; `None` if they name none and carry no baggage.
    pub fn extract_headers(&self, cx: &Context, headers: &HeaderMap) -> Option<Context> {
        let named = headers.keys().any(|name| self.is_field(name.as_str()));
        named
            .then(|| self.extract_with_context(cx, &Headers(headers)))
            .filter(is_worth_sending)
    }

    /// Whether `headers` name a parent that can be read, in a format that is sent or read here.
    pub(crate) fn is_in(&self, headers: &HeaderMap) -> bool {
        if !headers.keys().any(|name| self.is_field(name.as_str())) {
            return false;
        }
        // As a call's layer outside has just written it.
        let names = |cx: &Context| w3c::names(cx.span().span_context(), headers);
        if self.is_field(w3c::TRACEPARENT) && Context::map_current(names) {
            return true;
        }
        let Settings {
            inject, extract, ..
        } = &*self.0;
        let from = &Headers(headers);
        let mut formats = inject.iter().chain(extract);
        formats.any(|format| format.extract(from).is_some()) || self.0.others_find_parent(from)
    }

    /// Whether a header, in any case, is part of a format that is known here.
    pub(crate) fn is_field(&self, name: &str) -> bool {
        let is = |field: &String| field.eq_ignore_ascii_case(name);
        let is_ours = self.0.bits & bit(name) != 0 && self.0.fields.iter().any(is);
        is_ours || self.is_jaegers_baggage(name)
    }

    /// Whether only baggage of named keys is carried.
    pub(crate) fn limits_baggage(&self) -> bool {
        !self.0.baggage.is_empty()
    }

    /// Whether a header, in any case, is baggage, of which only named keys are carried.
    pub(crate) fn is_baggage(&self, name: &str) -> bool {
        let is_w3cs = self.limits_baggage() && name.eq_ignore_ascii_case(baggage::BAGGAGE);
        is_w3cs || self.is_jaegers_baggage(name)
    }

    /// What may be carried of a header with baggage.
    pub(crate) fn named_baggage(&self, name: &str, value: &str) -> Option<String> {
        let is_named = |key: &str| {
            self.0
                .baggage
                .iter()
                .any(|named| named.eq_ignore_ascii_case(key))
        };
        if self.is_jaegers_baggage(name) {
            let key = &name[jaeger::BAGGAGE.len()..];
            return is_named(key).then(|| value.to_owned());
        }
        if !self.is_baggage(name) {
            return None;
        }
        let named = baggage::named(value, &self.0.baggage);
        (!named.is_empty()).then_some(named)
    }

    fn is_jaegers_baggage(&self, name: &str) -> bool {
        let begin = name.as_bytes().get(..jaeger::BAGGAGE.len());
        let is = |begin: &[u8]| begin.eq_ignore_ascii_case(jaeger::BAGGAGE.as_bytes());
        self.0.jaegers && begin.is_some_and(is)
    }

    /// Takes off whatever names a parent; if it is only a `traceparent`, and that `is_written` anew, there is nothing to do.
    fn clear(&self, headers: &mut HeaderMap, is_written: bool) {
        let is_replaced = |name: &str| is_written && name == w3c::TRACEPARENT;
        let stays = |name: &str| !self.is_field(name) || is_replaced(name);
        if headers.keys().all(|name| stays(name.as_str())) {
            return;
        }
        for field in &self.0.fields {
            headers.remove(field);
        }
        let names = headers.keys();
        let others = names.filter(|name| self.is_jaegers_baggage(name.as_str()));
        for other in others.cloned().collect::<Vec<_>>() {
            headers.remove(other);
        }
    }
}

impl Settings {
    /// Baggage, and what other propagators send.
    fn inject_besides(&self, cx: &Context, into: &mut dyn Injector) {
        let jaeger = self.inject.contains(&Format::Jaeger);
        baggage::inject(cx, &self.baggage, jaeger, into);
        for other in &self.others {
            other.inject_context(cx, into);
        }
    }

    /// What other propagators find, on top of `cx`.
    fn extract_besides(&self, cx: &Context, from: &dyn Extractor) -> Context {
        let others = self.others.iter();
        others.fold(cx.clone(), |cx, other| {
            other.extract_with_context(&cx, from)
        })
    }

    fn others_find_parent(&self, from: &dyn Extractor) -> bool {
        let found = || self.extract_besides(&Context::new(), from);
        !self.others.is_empty() && found().span().span_context().is_valid()
    }

    fn speaks(&self, format: Format) -> bool {
        let mut formats = self.inject.iter().chain(&self.extract);
        formats.any(|spoken| *spoken == format)
    }

    const fn sends_parents(&self) -> bool {
        !(self.inject.is_empty() && self.others.is_empty())
    }

    /// Whether any of it goes out; what other propagators send is not known.
    fn sends_baggage_of(&self, cx: &Context) -> bool {
        let held = cx.baggage();
        let is_held = |key: &String| held.get(key).is_some();
        self.baggage.iter().any(is_held) || !(held.is_empty() || self.others.is_empty())
    }

    fn all_fields(&self) -> Vec<String> {
        let formats = self.inject.iter().chain(&self.extract);
        let mut fields: Vec<String> = formats
            .flat_map(|format| format.fields())
            .map(|field| (*field).to_owned())
            .chain(self.others.iter().flat_map(|other| {
                let fields: Vec<_> = other.fields().map(str::to_ascii_lowercase).collect();
                fields
            }))
            .collect();
        if !self.baggage.is_empty() {
            fields.push(baggage::BAGGAGE.to_owned());
            let name = |key: &String| format!("{}{}", jaeger::BAGGAGE, key.to_ascii_lowercase());
            fields.extend(self.baggage.iter().map(name));
        }
        fields.sort_unstable();
        fields.dedup();
        fields
    }
}

impl TextMapPropagator for Propagation {
    fn inject_context(&self, cx: &Context, into: &mut dyn Injector) {
        let span = cx.span();
        if span.span_context().is_valid() {
            for format in &self.0.inject {
                format.inject(span.span_context(), into);
            }
        }
        self.0.inject_besides(cx, into);
    }

    fn extract_with_context(&self, cx: &Context, from: &dyn Extractor) -> Context {
        let Settings {
            extract, baggage, ..
        } = &*self.0;
        let mut parents = extract.iter().filter_map(|format| format.extract(from));
        let found = self.0.extract_besides(cx, from);
        let found = match parents.next() {
            Some(parent) => found.with_remote_span_context(parent),
            None => found,
        };
        let jaeger = extract.contains(&Format::Jaeger);
        baggage::extract(found, baggage, jaeger, from)
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.0.fields)
    }
}

/// A bit by the first letter of `name`, in any case, and its length: `te` has another one than `traceparent`.
fn bit(name: &str) -> u128 {
    let letter = name.as_bytes().first().map_or(0, |letter| letter & 15);
    1 << (usize::from(letter) | (name.len() >> 1 & 7) << 4)
}

/// Whether there is anything in `cx` that could be sent.
pub(crate) fn is_worth_sending(cx: &Context) -> bool {
    cx.has_active_span() && cx.span().span_context().is_valid() || !cx.baggage().is_empty()
}

/// RFC 9110 §5.6.2: what a key of baggage may be.
fn is_token(key: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !key.is_empty() && key.bytes().all(is_letter)
}
