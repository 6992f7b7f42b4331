//! A span for each call: kind CLIENT, from the first moment to the end of the answer, attempts, backoff and trailers included.
//!
//! # Place in the stack
//! Outermost: `wrap_client`. Alone it goes around any tonic channel. Reads: the service's name. Leaves: the headers of the trace on the
//! request, which every attempt starts from.
//!
//! # Units and defaults
//! The span ends once: at the trailers, at a failure, or when the call is let go of, which is CANCELLED. Success leaves its status
//! unset; a recovered attempt leaves no error on it. Its target is [`attributes::CALL`], its level INFO. No metadata is recorded
//! unless it is allowed by name. A call whose span is filtered out, or made without a subscriber, sends on the context that it
//! stands in.
//!
//! # Errors
//! None of its own.
//!
//! # Example
//! ```
//! use tower_micro_trace::{CallTraceLayer, Names};
//!
//! let layer = CallTraceLayer::new(); // Client::builder().wrap_client(layer)
//! let like_go_micro = CallTraceLayer::new().names(Names::GoMicro);
//! # let _ = (layer, like_go_micro);
//! ```
//!
//! # Not here
//! Attempts, and their nodes: see [`attempt`](crate::attempt). Plain HTTP: see [`http`](crate::http).

use std::sync::Arc;

use ::http::{HeaderName, Request, Response};
use opentelemetry::Context;
use tower_layer::Layer;
use tower_micro_call::{Ambient, Notes, ambient};
use tower_micro_observe::{Answered, Ending, Observe, Observer, Watch};
use tracing::{Level, Span, field::Empty, span};

use crate::{
    Names, Propagation, attributes,
    ending::Last,
    names::{Role, bare},
    propagation::is_worth_sending,
    settings::{Settings, is_idle},
    traced::Traced,
};

/// Makes [`CallTrace`] services. See the [module docs](self) for an example.
#[derive(Clone, Debug, Default)]
pub struct CallTraceLayer {
    settings: Settings,
}

impl CallTraceLayer {
    /// OpenTelemetry's names, W3C headers, no metadata.
    pub fn new() -> Self {
        Self::default()
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

    /// Records these headers of the request, and no other.
    #[must_use]
    pub fn record_metadata(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.settings.allow(names);
        self
    }
}

impl<S> Layer<S> for CallTraceLayer {
    type Service = CallTrace<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let settings = self.settings.clone();
        Observe::new(inner, Calls { settings })
    }
}

/// Makes a span of each call.
pub type CallTrace<S> = Observe<S, Calls>;

/// The observer of calls.
#[derive(Clone, Debug)]
pub struct Calls {
    settings: Settings,
}

impl Calls {
    fn span<B: 'static>(&self, request: &Request<B>) -> Span {
        let path = request.uri().path();
        let notes = Notes::of(request);
        let service = notes.and_then(|notes| Some(notes.service()?.as_str()));
        let span = span!(
            target: attributes::CALL,
            Level::INFO,
            "call",
            otel.name = &*self.settings.names.of(Role::Call, path, service),
            otel.kind = "client",
            { attributes::SYSTEM } = "grpc",
            { attributes::METHOD } = bare(path),
            { attributes::SERVER_ADDRESS } = service.or_else(|| request.uri().host()),
            { attributes::STATUS_CODE } = Empty,
            { attributes::ERROR_TYPE } = Empty,
            { attributes::PEER_ADDRESS } = Empty,
            { attributes::PEER_PORT } = Empty,
            { attributes::NODE } = Empty,
            { attributes::ATTEMPTS } = Empty,
            otel.status_code = Empty,
            otel.status_description = Empty,
        );
        if !span.is_disabled() {
            self.settings.record(&span, request.headers());
        }
        span
    }
}

impl Observer for Calls {
    type Watch = Call;

    fn is_idle(&self) -> bool {
        is_idle() && !self.settings.propagation.limits_baggage()
    }

    fn begin<B: 'static>(&self, request: &mut Request<B>) -> Option<Call> {
        let span = self.span(request);
        if !span.is_disabled() {
            return Some(Call::new(span, self.settings.propagation.clone()));
        }
        let propagation = &self.settings.propagation;
        let names_parent = Context::map_current(is_worth_sending)
            && propagation.inject_current(request.headers_mut());
        let ambient = flows_on(propagation, names_parent)?;
        Some(Call::unseen(ambient, propagation.clone()))
    }
}

/// What flows in from the handler that makes this call, and on with it: go-micro sends all metadata on. Not the headers of the trace that it
/// stands in, if the call names a parent of its own, which one in a format that is not sent here would contradict; and only the baggage that
/// may be carried. `None` if all of it may go on.
fn flows_on(propagation: &Propagation, names_parent: bool) -> Option<Arc<Ambient>> {
    let ambient = ambient::current()?;
    let is_ours = |key: &str| match names_parent {
        true => propagation.is_field(key),
        false => propagation.is_baggage(key),
    };
    let ours = ambient.metadata.iter().filter(|(key, _)| is_ours(key));
    let mut ours = ours.peekable();
    ours.peek()?;
    // What is not ours stays as it came, marked as sensitive or not.
    let mut metadata = ambient.metadata.clone();
    for (key, value) in ours {
        metadata.remove(key);
        if let Some(kept) = propagation.named_baggage(key, value) {
            // It was metadata before.
            let _ = metadata.insert(key, &kept);
        }
    }
    Some(Arc::new(Ambient::clone(&ambient).with_metadata(metadata)))
}

/// A call under way.
#[derive(Debug)]
pub struct Call {
    /// `None` where the span is filtered out.
    traced: Option<Traced>,
    propagation: Propagation,
    /// What flows in from the handler that makes this call, if it had to be changed.
    ambient: Option<Arc<Ambient>>,
    answered: Option<Answered>,
}

impl Call {
    const fn new(span: Span, propagation: Propagation) -> Self {
        Self {
            traced: Some(Traced::new(span)),
            propagation,
            ambient: None,
            answered: None,
        }
    }

    const fn unseen(ambient: Arc<Ambient>, propagation: Propagation) -> Self {
        Self {
            traced: None,
            propagation,
            ambient: Some(ambient),
            answered: None,
        }
    }
}

fn within<T>(ambient: Option<&Arc<Ambient>>, run: impl FnOnce() -> T) -> T {
    match ambient {
        Some(ambient) => ambient::within(Arc::clone(ambient), run),
        None => run(),
    }
}

impl Watch for Call {
    fn start<B: 'static, T>(
        &mut self,
        mut request: Request<B>,
        run: impl FnOnce(Request<B>) -> T,
    ) -> T {
        let Self {
            traced,
            propagation,
            ambient,
            ..
        } = self;
        let Some(traced) = traced else {
            return within(ambient.as_ref(), || run(request));
        };
        traced.start(|cx| {
            let names_parent = propagation.inject_headers(cx, request.headers_mut());
            *ambient = flows_on(propagation, names_parent);
            within(ambient.as_ref(), || run(request))
        })
    }

    fn within<T>(&mut self, run: impl FnOnce() -> T) -> T {
        let ambient = self.ambient.as_ref();
        match &self.traced {
            Some(traced) => traced.within(|| within(ambient, run)),
            None => within(ambient, run),
        }
    }

    fn answered<B: 'static>(&mut self, response: &mut Response<B>) {
        self.answered = Answered::of(response);
    }

    fn ended(self, ending: Ending<'_>) {
        let Some(traced) = self.traced else {
            return;
        };
        let mut last = Last::of_client(ending.code(), &ending);
        if let Some(answered) = &self.answered {
            (last.attempts, last.node) = (answered.attempts, answered.node.as_deref());
        }
        if let Ending::Failed(error) = ending {
            last.attempts = error.attempts().max(last.attempts);
            last.node = error.node().map(|node| &**node).or(last.node);
        }
        traced.end(&last);
    }
}

#[cfg(test)]
mod tests {
    use ::http::{HeaderMap, HeaderValue};
    use tower_micro_call::Metadata;

    use super::*;
    use crate::Format;

    #[test]
    fn what_flows_in_beside_a_parent_flows_on_as_it_came() {
        let mut inbound = HeaderMap::new();
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        inbound.insert("traceparent", HeaderValue::from_static(parent));
        inbound.insert("x-tenant", HeaderValue::from_static("blue"));
        let mut secret = HeaderValue::from_static("s3cret");
        secret.set_sensitive(true);
        inbound.insert("x-plain", secret);
        let ambient = Ambient::new().with_metadata(Metadata::from_headers(&inbound));
        let kept = ambient::within(Arc::new(ambient), || flows_on(&Propagation::new(), true));
        let mut headers = HeaderMap::new();
        kept.unwrap().metadata.write_to(&mut headers);
        assert_eq!(headers.len(), 2);
        assert_eq!(headers["x-tenant"], "blue");
        assert_eq!(headers["x-plain"], "s3cret");
        assert!(headers["x-plain"].is_sensitive());
    }

    #[test]
    fn baggage_that_stays_here_leaves_the_parent_that_flows_in() {
        use opentelemetry::{KeyValue, baggage::BaggageExt};
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut metadata = Metadata::new();
        metadata.insert("traceparent", parent).unwrap();
        let flows_in = Arc::new(Ambient::new().with_metadata(metadata));
        let held = Context::new().with_baggage([KeyValue::new("password", "hunter2")]);
        let seen = ambient::within(flows_in, || {
            let _held = held.attach();
            let calls = Calls {
                settings: Settings::default(),
            };
            let mut request = Request::new(());
            let mut call = calls.begin(&mut request);
            let flows_on = || {
                ambient::current()
                    .unwrap()
                    .metadata
                    .get("traceparent")
                    .map(str::to_owned)
            };
            match &mut call {
                Some(call) => call.start(request, |_| flows_on()),
                None => flows_on(),
            }
        });
        assert_eq!(seen.as_deref(), Some(parent));
    }

    /// What still flows in, by key, when a call has begun, of which nobody makes a span.
    fn flows_on_from(propagation: Propagation, inbound: &[(&str, &str)]) -> Vec<String> {
        let mut metadata = Metadata::new();
        for (key, value) in inbound {
            metadata.insert(key, value).unwrap();
        }
        let flows_in = Arc::new(Ambient::new().with_metadata(metadata));
        let settings = CallTraceLayer::new().propagation(propagation).settings;
        let calls = Calls { settings };
        assert!(!calls.is_idle());
        ambient::within(flows_in, || {
            let keys = || -> Vec<_> {
                let ambient = ambient::current().unwrap();
                let all = ambient.metadata.iter();
                let all = all.map(|(key, value)| format!("{}: {value}", key.to_lowercase()));
                let mut all: Vec<_> = all.collect();
                all.sort_unstable();
                all
            };
            let mut request = Request::new(());
            match calls.begin(&mut request) {
                Some(mut call) => call.start(request, |_| keys()),
                None => keys(),
            }
        })
    }

    #[test]
    fn baggage_that_is_not_named_flows_nowhere_though_nobody_looks() {
        let inbound = [
            ("baggage", "user=ada, tenant=blue;p=1,x"),
            ("uberctx-tenant", "blue"),
            ("uberctx-user", "ada"),
            ("x", "y"),
        ];
        let named = Propagation::new().baggage(["tenant"]);
        let kept = ["baggage: tenant=blue;p=1", "uberctx-tenant: blue", "x: y"];
        assert_eq!(flows_on_from(named, &inbound), kept);
        let w3c_alone = Propagation::none().inject([Format::W3c]);
        let kept = flows_on_from(w3c_alone.baggage(["other"]), &inbound);
        assert_eq!(kept, ["uberctx-tenant: blue", "uberctx-user: ada", "x: y"]);
    }
}
