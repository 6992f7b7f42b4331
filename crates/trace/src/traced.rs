//! A span of ours, and what OpenTelemetry's layer made of it.
//!
//! Where that layer holds the span, what is known at the end goes straight to it: words that are written down in our code are not
//! copied, the registry of spans is not asked again, and the span ends at that moment, whoever still holds a handle of it. Where there
//! is no such layer, the end is recorded through `tracing`, for whoever listens.

use opentelemetry::{
    Context, SpanId,
    trace::{Status, TraceContextExt},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::ending::Last;

/// A span that is not disabled, and that ends once.
#[derive(Debug)]
pub(crate) struct Traced {
    span: Span,
    /// OpenTelemetry's side of it, once it was entered.
    own: Option<Context>,
}

impl Traced {
    pub(crate) const fn new(span: Span) -> Self {
        let own = None;
        Self { span, own }
    }

    /// Enters it for the first time; `run` gets the context that goes out with what happens in it. That is its own, or, if
    /// OpenTelemetry's layer does not see it, the one that it stands in: the chain must not break because a span is not wanted.
    pub(crate) fn start<T>(&mut self, run: impl FnOnce(&Context) -> T) -> T {
        let outside = current_id();
        let entered = self.span.enter();
        let mut cx = Context::current();
        let mut is_own = id(&cx) != outside;
        if !is_own {
            // Filtered out; or entering a span does not activate its context.
            let asked = self.span.context();
            is_own = asked.span().span_context().is_valid();
            if is_own {
                cx = asked;
            }
        }
        let outcome = run(&cx);
        drop(entered);
        self.own = is_own.then_some(cx);
        outcome
    }

    pub(crate) fn within<T>(&self, run: impl FnOnce() -> T) -> T {
        self.span.in_scope(run)
    }

    /// Ends it with `last`.
    pub(crate) fn end(self, last: &Last<'_>) {
        match &self.own {
            Some(cx) => write(cx, last),
            // Its end is the last moment at which it was left.
            None => self.span.in_scope(|| last.record(&self.span)),
        }
    }
}

fn write(cx: &Context, last: &Last<'_>) {
    let span = cx.span();
    span.set_attributes(last.attributes());
    if let Some(description) = last.failure {
        span.set_status(Status::error(description.to_owned()));
    }
    span.end();
}

fn current_id() -> SpanId {
    Context::map_current(id)
}

fn id(cx: &Context) -> SpanId {
    cx.span().span_context().span_id()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
    use tonic::Code;
    use tower_micro_observe::Ending;
    use tracing::{Level, Subscriber, field::Empty, span, subscriber::with_default};
    use tracing_subscriber::{
        Layer, Registry,
        layer::{Context as Place, SubscriberExt},
    };

    use super::*;
    use crate::attributes;

    fn call() -> Span {
        span!(
            Level::INFO,
            "call",
            { attributes::STATUS_CODE } = Empty,
            { attributes::ERROR_TYPE } = Empty,
            otel.status_code = Empty,
        )
    }

    fn refused() -> Last<'static> {
        Last::of_client(Code::NotFound, &Ending::Status(Code::NotFound))
    }

    #[test]
    fn opentelemetrys_span_ends_with_its_request_though_a_handle_of_it_is_held() {
        let spans = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(spans.clone())
            .build();
        let record = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        with_default(Registry::default().with(record), || {
            let span = call();
            let held = span.clone();
            let mut traced = Traced::new(span);
            traced.start(|cx| assert!(cx.span().span_context().is_valid()));
            assert!(spans.get_finished_spans().unwrap().is_empty());
            traced.end(&refused());
            let ended = spans.get_finished_spans().unwrap();
            assert_eq!(ended[0].status, Status::error(""));
            let code = ended[0].attributes.iter();
            let mut code =
                code.filter(|attribute| attribute.key.as_str() == attributes::STATUS_CODE);
            assert_eq!(code.next().unwrap().value.as_str(), "NOT_FOUND");
            assert!(code.next().is_none());
            drop(held);
            assert_eq!(spans.get_finished_spans().unwrap().len(), 1);
        });
    }

    /// Writes down what is recorded of spans.
    #[derive(Clone, Default)]
    struct Listener(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Listener {
        fn on_record(&self, _: &span::Id, values: &span::Record<'_>, _: Place<'_, S>) {
            self.0.lock().unwrap().push(format!("{values:?}"));
        }
    }

    #[test]
    fn without_opentelemetry_the_end_is_recorded_for_whoever_listens() {
        let listener = Listener::default();
        with_default(Registry::default().with(listener.clone()), || {
            let mut traced = Traced::new(call());
            traced.start(|cx| assert!(!cx.span().span_context().is_valid()));
            traced.end(&refused());
        });
        let heard = listener.0.lock().unwrap();
        assert_eq!(heard.len(), 1, "{heard:?}");
        assert!(heard[0].contains("NOT_FOUND") && heard[0].contains("ERROR"));
    }
}
