//! What all the layers can be told.

use std::sync::Arc;

use ::http::{HeaderMap, HeaderName};
use opentelemetry::{Array, Context, StringValue, Value};
use tracing::{Level, Span, level_filters::LevelFilter};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::{Names, Propagation, attributes, propagation::is_worth_sending};

/// Cloned for each channel, so what is long is shared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) names: Names,
    pub(crate) propagation: Propagation,
    pub(crate) metadata: Arc<[HeaderName]>,
}

impl Settings {
    pub(crate) fn allow(&mut self, metadata: impl IntoIterator<Item = HeaderName>) {
        self.metadata = metadata.into_iter().collect();
    }

    /// Records the headers that were allowed by name. One that is marked as sensitive is not, even so.
    pub(crate) fn record(&self, span: &Span, headers: &HeaderMap) {
        for name in &*self.metadata {
            let values = headers.get_all(name).iter();
            let values = values.filter(|value| !value.is_sensitive());
            let values = values.filter_map(|value| value.to_str().ok());
            let values: Vec<StringValue> = values.map(|value| value.to_owned().into()).collect();
            if !values.is_empty() {
                let key = format!("{}{name}", attributes::REQUEST_METADATA);
                span.set_attribute(key, Value::Array(Array::String(values)));
            }
        }
    }
}

/// Whether no subscriber wants anything of our level, and no context is there to be sent on.
pub(crate) fn is_idle() -> bool {
    LevelFilter::current() < Level::INFO && !Context::map_current(is_worth_sending)
}
