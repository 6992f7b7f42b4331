//! A span of ours, and what OpenTelemetry's layer made of it.
//!
//! Where that layer holds the span, it ends when what it stands for does, whoever still holds a handle of it. What is known then of a call
//! or an attempt goes straight to it: words that are written down in our code are not copied, and the registry of spans is not asked again.
//! What is known of an exchange is recorded through `tracing`, for whoever else listens; so is that of a call where there is no such layer.

use opentelemetry::{
    Context, SpanId,
    trace::{Status, TraceContextExt},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::ending::Last;

/// A span that ends once.
#[derive(Debug)]
pub(crate) struct Traced {
    span: Span,
    /// OpenTelemetry's side of it, once it has begun.
    own: Option<Context>,
}

impl Traced {
    pub(crate) const fn new(span: Span) -> Self {
        let own = None;
        Self { span, own }
    }

    /// Begins it under `caller`, if there is one; says whether it hangs there. The result of `set_parent` does not tell: it is `Ok` for a
    /// span that other layers see and OpenTelemetry's does not.
    pub(crate) fn begin_under(&mut self, caller: Option<&Context>) -> bool {
        if self.span.is_disabled() {
            return false;
        }
        let set = caller.map(|caller| self.span.set_parent(caller.clone()));
        if set.is_some_and(|set| set.is_err()) {
            return false;
        }
        let own = self.span.context();
        let id = own.span().span_context().clone();
        self.own = id.is_valid().then_some(own);
        let hangs_under = |caller: &Context| {
            let parent = caller.span().span_context().clone();
            !parent.is_valid() || id.trace_id() == parent.trace_id()
        };
        id.is_valid() && caller.is_none_or(hangs_under)
    }

    pub(crate) fn is_disabled(&self) -> bool {
        self.span.is_disabled()
    }

    /// Enters it for the first time; `run` gets the context that goes out with what happens in it. That is its own, or, if
    /// OpenTelemetry's layer does not see it, the one that it stands in: the chain must not break because a span is not wanted.
    pub(crate) fn start<T>(&mut self, run: impl FnOnce(&Context) -> T) -> T {
        let outside = current_id();
        let entered = self.span.enter();
        let inside = Context::current();
        // Filtered out; or entering a span does not activate its context; or its provider is shut down.
        let is_own = id(&inside) != outside && is_valid(&inside);
        let own = Some(inside).filter(|_| is_own);
        let own = own.or_else(|| Some(self.span.context()).filter(is_valid));
        let Some(cx) = own else {
            drop(entered);
            let cx = Context::current();
            return self.span.in_scope(|| run(&cx));
        };
        let outcome = run(&cx);
        drop(entered);
        self.own = Some(cx);
        outcome
    }

    pub(crate) fn within<T>(&self, run: impl FnOnce() -> T) -> T {
        self.span.in_scope(run)
    }

    /// Ends it with `last`.
    pub(crate) fn end(self, last: &Last<'_>) {
        match &self.own {
            Some(cx) => write(cx, last),
            None => self.finish(|span| last.record(span)),
        }
    }

    /// Ends it with what `record` writes on it, for OpenTelemetry and for whoever else listens.
    pub(crate) fn finish(self, record: impl FnOnce(&Span)) {
        // Without OpenTelemetry its end is the last moment at which it was left.
        self.span.in_scope(|| record(&self.span));
        if let Some(cx) = &self.own {
            cx.span().end();
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

fn is_valid(cx: &Context) -> bool {
    cx.span().span_context().is_valid()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry::trace::{SpanContext, TraceFlags, TraceId, TraceState, TracerProvider};
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

    #[test]
    fn after_the_providers_shutdown_the_context_outside_goes_out() {
        let provider = SdkTracerProvider::builder().build();
        let record = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        provider.shutdown().unwrap();
        let outside = SpanContext::new(
            TraceId::from(1),
            SpanId::from(2),
            TraceFlags::SAMPLED,
            true,
            TraceState::NONE,
        );
        let _outside = Context::new()
            .with_remote_span_context(outside.clone())
            .attach();
        with_default(Registry::default().with(record), || {
            let sent = |cx: &Context| assert_eq!(cx.span().span_context(), &outside);
            Traced::new(call()).start(sent);
        });
    }
}
