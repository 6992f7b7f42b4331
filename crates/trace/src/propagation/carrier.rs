//! Headers and metadata, as OpenTelemetry's propagators read and write them. Keys match in any case.
//!
//! go-micro writes its keys title-cased (`Uber-Trace-Id`), and a `HashMap` as a carrier would not find them: OpenTelemetry's own
//! lower-cases the key that is asked for, and not those that are there.

use ::http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector};
use tower_micro_call::Metadata;

use super::{b3, baggage, jaeger, w3c};

/// Headers to read from.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a>(pub &'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let values = self.0.get_all(key).iter();
        let values: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
        (!values.is_empty()).then_some(values)
    }
}

/// Headers to write to. What cannot be a header is left out.
#[derive(Debug)]
pub struct HeadersMut<'a>(pub &'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        let value = HeaderValue::try_from(value);
        if let (Some(name), Ok(value)) = (name_of(key), value) {
            self.0.insert(name, value);
        }
    }
}

/// The names that are written most, ready made.
fn name_of(key: &str) -> Option<HeaderName> {
    Some(match key {
        w3c::TRACEPARENT => HeaderName::from_static(w3c::TRACEPARENT),
        w3c::TRACESTATE => HeaderName::from_static(w3c::TRACESTATE),
        baggage::BAGGAGE => HeaderName::from_static(baggage::BAGGAGE),
        b3::SINGLE => HeaderName::from_static(b3::SINGLE),
        b3::TRACE => HeaderName::from_static(b3::TRACE),
        b3::SPAN => HeaderName::from_static(b3::SPAN),
        b3::SAMPLED => HeaderName::from_static(b3::SAMPLED),
        jaeger::ID => HeaderName::from_static(jaeger::ID),
        other => other.parse().ok()?,
    })
}

impl Extractor for MetadataCarrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(key, _)| key).collect()
    }
}

/// go-micro's metadata to read from.
#[derive(Clone, Copy, Debug)]
pub struct MetadataCarrier<'a>(pub &'a Metadata);

/// go-micro's metadata to write to, title-cased as go-micro writes it. What cannot be metadata is left out.
#[derive(Debug)]
pub struct MetadataCarrierMut<'a>(pub &'a mut Metadata);

impl Injector for MetadataCarrierMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        let _ = self.0.insert(key, &value);
    }
}
