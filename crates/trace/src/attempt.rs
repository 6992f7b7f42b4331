//! A span for each attempt, which says where it went and how it ended.
//!
//! # Place in the stack
//! `wrap_call`: once per attempt, where the node is known. Its parent is the span that is current when the attempt begins: the call's,
//! or one of yours in between. Reads: the attempt, its node, the deadline. Leaves: the headers of the trace on the request of this
//! attempt, in place of whatever other parent its metadata names.
//!
//! # Units and defaults
//! | [`Attempts`] | spans | a node's handler hangs under |
//! |---|---|---|
//! | `Off` | none; the call's span learns the node | the call |
//! | `OnRetry` (default) | from the second attempt on; a first one that fails is an event of the call's span | the call, or the attempt from the second on |
//! | `Always` | one each, as in gRPC's A72 | the attempt |
//!
//! The kind is INTERNAL, as A72 has it; a service graph that pairs CLIENT with SERVER spans sees an edge only where the handler hangs
//! under the call. An attempt that is let go of is CANCELLED, or DEADLINE_EXCEEDED if the call's time was up. The target is
//! [`attributes::ATTEMPT`], the level INFO.
//!
//! # Errors
//! None of its own.
//!
//! # Example
//! ```
//! use tower_micro_trace::{AttemptTraceLayer, Attempts};
//!
//! let layer = AttemptTraceLayer::new().attempts(Attempts::Always); // Client::builder().wrap_call(layer)
//! # let _ = layer;
//! ```

use std::sync::Arc;

use ::http::Request;
use tonic::Code;
use tower_layer::Layer;
use tower_micro_call::{CallOptions, Deadline, Error, Metadata, Notes};
use tower_micro_observe::{Ending, Observe, Observer, Watch, words};
use tower_micro_selector::Candidate;
use tracing::{Level, Span, event, field::Empty, span};

use crate::{
    Names, Propagation, attributes,
    ending::{Last, host_and_port, kind_of_attempt},
    names::Role,
    settings::{Settings, is_idle},
    traced::Traced,
};

/// Which attempts have spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attempts {
    /// None.
    Off,
    /// Those that follow one that failed.
    #[default]
    OnRetry,
    /// Every one.
    Always,
}

/// Makes [`AttemptTrace`] services. See the [module docs](self) for an example.
#[derive(Clone, Debug, Default)]
pub struct AttemptTraceLayer {
    settings: Settings,
    attempts: Attempts,
}

impl AttemptTraceLayer {
    /// Spans from the second attempt on, OpenTelemetry's names, W3C headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which attempts have spans.
    #[must_use]
    pub const fn attempts(mut self, attempts: Attempts) -> Self {
        self.attempts = attempts;
        self
    }

    /// What spans are called.
    #[must_use]
    pub const fn names(mut self, names: Names) -> Self {
        self.settings.names = names;
        self
    }

    /// What carries the trace to the node.
    #[must_use]
    pub fn propagation(mut self, propagation: Propagation) -> Self {
        self.settings.propagation = propagation;
        self
    }
}

impl<S> Layer<S> for AttemptTraceLayer {
    type Service = AttemptTrace<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let (settings, attempts) = (self.settings.clone(), self.attempts);
        Observe::new(inner, EachAttempt { settings, attempts })
    }
}

/// Makes a span of each attempt.
pub type AttemptTrace<S> = Observe<S, EachAttempt>;

/// The observer of attempts.
#[derive(Clone, Debug)]
pub struct EachAttempt {
    settings: Settings,
    attempts: Attempts,
}

impl EachAttempt {
    fn wants(&self, number: u32) -> bool {
        match self.attempts {
            Attempts::Off => false,
            Attempts::OnRetry => number > 0,
            Attempts::Always => true,
        }
    }

    fn span(&self, path: &str, service: Option<&str>, attempt: &Facts) -> Span {
        let node = attempt.node.as_deref();
        let (host, port) = node.map(|node| host_and_port(&node.address)).unzip();
        let port = port.flatten().map(i64::from);
        let number = i64::from(attempt.number);
        let previous = (self.settings.names == Names::Grpc).then_some(number);
        span!(
            target: attributes::ATTEMPT,
            Level::INFO,
            "attempt",
            otel.name = &*self.settings.names.of(Role::Attempt, path, service),
            otel.kind = "internal",
            { attributes::ATTEMPT_NUMBER } = number + 1,
            { attributes::PREVIOUS_ATTEMPTS } = previous,
            { attributes::NODE } = node.map(|node| &*node.id),
            { attributes::PEER_ADDRESS } = host,
            { attributes::PEER_PORT } = port,
            { attributes::STATUS_CODE } = Empty,
            { attributes::ERROR_TYPE } = Empty,
            { attributes::DISPOSITION } = Empty,
            otel.status_code = Empty,
            otel.status_description = Empty,
        )
    }
}

impl Observer for EachAttempt {
    type Watch = Attempt;

    fn is_idle(&self) -> bool {
        is_idle()
    }

    fn begin<B: 'static>(&self, request: &mut Request<B>) -> Option<Attempt> {
        let notes = Notes::of(request);
        let number = notes.map_or(0, |notes| notes.attempt().number);
        let facts = || Facts {
            number,
            node: notes.and_then(Notes::node).cloned(),
            deadline: notes.and_then(Notes::deadline),
        };
        let propagation = &self.settings.propagation;
        if self.wants(number) {
            let service = notes.and_then(|notes| Some(notes.service()?.as_str()));
            let facts = facts();
            let span = self.span(request.uri().path(), service, &facts);
            if !span.is_disabled() {
                let seen = Seen::Itself(Traced::new(span), propagation.clone());
                return Some(Attempt { seen, facts });
            }
        }
        let call = Span::current();
        let attempt = (!call.is_disabled()).then(|| Attempt {
            seen: Seen::ByItsCall(call),
            facts: facts(),
        });
        // Without a call's layer outside nobody has sent the context yet.
        if !propagation.is_in(request.headers())
            && propagation.inject_current(request.headers_mut())
        {
            drop_other_parents(request, propagation);
        }
        attempt
    }
}

/// Takes out of the metadata that is still to be written whatever names a parent: what flows in from a handler does, perhaps in a format
/// that is not sent here, and would contradict ours.
fn drop_other_parents<B: 'static>(request: &mut Request<B>, propagation: &Propagation) {
    let Some(notes) = Notes::get_mut(request) else {
        return;
    };
    let Some(options) = notes.options() else {
        return;
    };
    let keys = options.get_metadata().iter().map(|(key, _)| key);
    let parents = keys.filter(|key| propagation.is_field(key));
    let mut nothing = Metadata::new();
    for key in parents {
        nothing.insert(key, "").expect("it is a key already");
    }
    if !nothing.is_empty() {
        let options = CallOptions::clone(options).metadata(nothing);
        notes.set_options(Arc::new(options), notes.deadline());
    }
}

/// What is known of an attempt before it begins.
#[derive(Debug)]
struct Facts {
    number: u32,
    node: Option<Arc<Candidate>>,
    deadline: Option<Deadline>,
}

/// An attempt under way.
#[derive(Debug)]
pub struct Attempt {
    seen: Seen,
    facts: Facts,
}

/// Where an attempt is written down.
#[derive(Debug)]
enum Seen {
    /// In a span of its own, whose context goes out by these headers.
    Itself(Traced, Propagation),
    /// In the span that is current, which is told if it fails.
    ByItsCall(Span),
}

impl Facts {
    fn tell(&self, call: &Span, code: Code, error: &Error) {
        let node = self.node.as_deref();
        let (host, port) = node.map(|node| host_and_port(&node.address)).unzip();
        event!(
            target: attributes::ATTEMPT,
            parent: call,
            Level::INFO,
            { attributes::ATTEMPT_NUMBER } = i64::from(self.number) + 1,
            { attributes::NODE } = node.map(|node| &*node.id),
            { attributes::PEER_ADDRESS } = host,
            { attributes::PEER_PORT } = port.flatten().map(i64::from),
            { attributes::STATUS_CODE } = words::code(code),
            { attributes::ERROR_TYPE } = kind_of_attempt(code, error),
            { attributes::DISPOSITION } = words::disposition(error),
            "attempt failed"
        );
    }
}

impl Watch for Attempt {
    fn start<B: 'static, T>(
        &mut self,
        mut request: Request<B>,
        run: impl FnOnce(Request<B>) -> T,
    ) -> T {
        match &mut self.seen {
            Seen::Itself(traced, propagation) => traced.start(|cx| {
                if propagation.inject_headers(cx, request.headers_mut()) {
                    drop_other_parents(&mut request, propagation);
                }
                run(request)
            }),
            Seen::ByItsCall(_) => run(request),
        }
    }

    fn within<T>(&mut self, run: impl FnOnce() -> T) -> T {
        match &self.seen {
            Seen::Itself(traced, _) => traced.within(run),
            Seen::ByItsCall(_) => run(),
        }
    }

    fn ended(self, ending: Ending<'_>) {
        let code = ending.code_of_attempt(self.facts.deadline);
        match (self.seen, ending) {
            (Seen::Itself(traced, _), _) => {
                let mut last = Last::of_client(code, &ending);
                if let Ending::Failed(error) = ending {
                    last.disposition = Some(words::disposition(error));
                }
                traced.end(&last);
            }
            (Seen::ByItsCall(call), Ending::Failed(error)) => {
                self.facts.tell(&call, code, error);
            }
            (Seen::ByItsCall(_), _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry::{
        Context,
        trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TracerProvider},
    };
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing::subscriber::with_default;
    use tracing_subscriber::{Registry, layer::SubscriberExt};

    use super::*;

    fn parent() -> Context {
        let span = SpanContext::new(
            TraceId::from(1),
            SpanId::from(2),
            TraceFlags::SAMPLED,
            false,
            Default::default(),
        );
        Context::new().with_remote_span_context(span)
    }

    /// What the metadata of the attempt still says when its layer, alone and with `attempts`, has handed it on; and its headers.
    fn handed_on(attempts: Attempts) -> (Vec<String>, Vec<String>) {
        let mut metadata = Metadata::new();
        for (key, value) in [
            ("x-b3-traceid", "4bf92f3577b34da6a3ce929d0e0e4736"),
            ("x-b3-spanid", "00f067aa0ba902b7"),
            ("x-tenant", "blue"),
        ] {
            metadata.insert(key, value).unwrap();
        }
        let options = CallOptions::new()
            .timeout(Duration::from_secs(1))
            .metadata(metadata);
        let mut request = Request::new(());
        Notes::of_mut(&mut request).set_options(Arc::new(options), None);
        let settings = Settings::default();
        let observer = EachAttempt { settings, attempts };
        let look = |request: Request<()>| {
            let options = Notes::of(&request).unwrap().options().unwrap();
            assert_eq!(options.get_timeout(), Some(Duration::from_secs(1)));
            let keys = options.get_metadata().iter().map(|(key, _)| key.to_owned());
            let names = request.headers().keys().map(ToString::to_string);
            (keys.collect(), names.collect())
        };
        match observer.begin(&mut request) {
            Some(mut attempt) => attempt.start(request, look),
            None => look(request),
        }
    }

    #[test]
    fn alone_it_sends_one_parent_whatever_flows_in() {
        let tracer = SdkTracerProvider::builder().build().tracer("test");
        let record = tracing_opentelemetry::layer().with_tracer(tracer);
        let _parent = parent().attach();
        with_default(Registry::default().with(record), || {
            for attempts in [Attempts::Off, Attempts::Always] {
                let (kept, headers) = handed_on(attempts);
                assert_eq!(kept, ["X-Tenant"], "{attempts:?}");
                assert_eq!(headers, ["traceparent"]);
            }
        });
    }

    #[test]
    fn without_a_span_what_flows_in_flows_on() {
        let (kept, headers) = handed_on(Attempts::Off);
        assert_eq!(kept.len(), 3);
        assert!(headers.is_empty());
    }
}
