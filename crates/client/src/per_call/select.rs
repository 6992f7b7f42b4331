//! Asks the selector for the nodes of a service, once per call: go-micro's `Select`.
//!
//! Every attempt of the call chooses from this one set. A selection that fails ends the call: it is not retried, marked or seen by
//! call wrappers (`client/grpc/grpc.go`, `next`).
//!
//! # Place in the stack
//! Inside of options (filters, strategy, addresses), outside of the deadline, which go-micro looks at only after it has selected.
//! Reads: [`CallOptions`], [`Deadline`]. Leaves: the [`Picker`] and the service's name.
//!
//! # Units and defaults
//! The first call of a service waits for the registry's first answer, until its deadline. Later calls never wait, unless they
//! [say so](CallOptions::wait_for_ready): then one that finds no node asks again, after 10 ms and then less and less often, at most
//! every 250 ms.
//!
//! # Errors
//! UNAVAILABLE if there is no such service or no node (gRFC A54); in go-micro's dialects its 500. DEADLINE_EXCEEDED if the deadline
//! passes before there is an answer.
//!
//! # Example
//! ```
//! use std::sync::Arc;
//! use tower::ServiceBuilder;
//! use tower_micro_client::SelectLayer;
//! # use tower_micro_selector::Selector;
//!
//! # fn stack(selector: Arc<dyn Selector>) -> Result<(), Box<dyn std::error::Error>> {
//! let layer = SelectLayer::new(selector, "greeter".parse()?);
//! # let _ = layer; Ok(()) }
//! ```
//!
//! # Not here
//! Which node of the set: see [`pick`](super::per_attempt::pick).

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use http::Request;
use pin_project::pin_project;
use tokio::time::{Instant, sleep};
use tower_layer::Layer;
use tower_micro_call::{
    CallOptions, Deadline, Dialect, Error, Expiry, Notes, Proxy, proxy::Resolved,
};
use tower_micro_registry::{BoxFuture, ServiceName};
use tower_micro_selector::{Candidate, P2c, Picker, SelectError, Selection, Selector, Strategy};
use tower_service::Service;

/// Before a call that waits for a node asks again.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// What the selector will say.
type Asking = BoxFuture<'static, Result<Picker, SelectError>>;

/// Of a request that no layer has settled options for.
static NONE: LazyLock<Arc<CallOptions>> = LazyLock::new(Arc::default);

/// Makes [`Select`] services. See the [module docs](self) for an example.
#[derive(Clone, Debug)]
pub struct SelectLayer {
    selector: Arc<dyn Selector>,
    service: ServiceName,
    proxy: Arc<Proxy>,
}

impl SelectLayer {
    /// Calls go to nodes of `service`.
    pub fn new(selector: Arc<dyn Selector>, service: ServiceName) -> Self {
        Self {
            selector,
            service,
            proxy: Arc::default(),
        }
    }

    /// Sends all calls through a proxy, as go-micro's environment asks for.
    #[must_use]
    pub fn with_proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Arc::new(proxy);
        self
    }
}

impl<S> Layer<S> for SelectLayer {
    type Service = Select<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let layer = self.clone();
        Select { inner, layer }
    }
}

/// Asks the selector for the nodes of a service, once per call.
#[derive(Clone, Debug)]
pub struct Select<S> {
    inner: S,
    layer: SelectLayer,
}

/// What was asked, to be told if it fails.
#[derive(Debug)]
struct Question {
    /// As the caller named it.
    service: ServiceName,
    /// As the selector was asked: a proxy may stand in for it.
    asked: ServiceName,
    dialect: Dialect,
    deadline: Option<Deadline>,
}

impl Question {
    fn failed(&self, error: SelectError) -> Error {
        Error::select(&self.asked, error, self.dialect)
    }

    fn timed_out(&self) -> Error {
        let timeout = self.deadline.map(|deadline| deadline.timeout());
        Error::deadline(timeout.unwrap_or_default(), self.dialect).with_service(&self.service)
    }
}

/// What came of asking.
enum Chosen {
    /// The set is in the notes.
    Set,
    Nothing(Error),
    Later(Box<Question>, Asking),
}

impl SelectLayer {
    /// Leaves the set in `notes`, if it is known.
    #[inline]
    fn choose(&self, notes: &mut Notes) -> Chosen {
        match self.ask(notes) {
            Selection::Ready(Ok(picker)) if !waits(notes) || !picker.is_empty() => {
                notes.set_picker(&self.service, picker);
                Chosen::Set
            }
            Selection::Ready(_) if waits(notes) && self.may_be_there(notes) => {
                let question = self.question(notes);
                let selection = self.until_there(None, &question, notes);
                Chosen::Later(Box::new(question), selection)
            }
            Selection::Ready(selected) => {
                let error = selected.err().unwrap_or(SelectError::NoneAvailable);
                Chosen::Nothing(self.question(notes).failed(error))
            }
            Selection::Pending(first) => {
                let question = self.question(notes);
                let selection = if waits(notes) {
                    self.until_there(Some(first), &question, notes)
                } else {
                    first
                };
                Chosen::Later(Box::new(question), selection)
            }
        }
    }

    #[inline]
    fn ask(&self, notes: &Notes) -> Selection {
        let options = notes.options().unwrap_or(&NONE);
        if self.proxy.is_none() && options.get_addresses().is_empty() {
            return self.selector.select(&self.service, options.get_select());
        }
        let way = self.way(options);
        if !way.addresses.is_empty() {
            return Selection::Ready(Ok(picker_of(way.addresses, options)));
        }
        match ServiceName::new(way.service) {
            Ok(asked) => self.selector.select(&asked, options.get_select()),
            Err(invalid) => Selection::Ready(Err(SelectError::other(invalid))),
        }
    }

    /// Whether what is asked for can be a service at all. A proxy that can be none is not waited for, and never passed by.
    fn may_be_there(&self, notes: &Notes) -> bool {
        let options = notes.options().unwrap_or(&NONE);
        ServiceName::new(self.way(options).service).is_ok()
    }

    /// Asks until there is a node; if the `first` answer is still to come, it is waited for.
    fn until_there(&self, first: Option<Asking>, question: &Question, notes: &Notes) -> Asking {
        let selector = Arc::clone(&self.selector);
        let service = question.asked.clone();
        let options = notes.options().unwrap_or(&NONE).get_select().clone();
        Box::pin(async move {
            if let Some(first) = first
                && let Some(picker) = somebody(first.await)
            {
                return Ok(picker);
            }
            let mut pause = FIRST_PAUSE;
            loop {
                sleep(pause).await;
                if let Some(picker) = somebody(selector.select(&service, &options).await) {
                    return Ok(picker);
                }
                pause = (2 * pause).min(LONGEST_PAUSE);
            }
        })
    }

    /// Addresses given by the caller or the environment, or another service that stands in for this one.
    fn way<'a>(&'a self, options: &'a CallOptions) -> Resolved<'a> {
        let addresses = options.get_addresses();
        self.proxy.resolve(self.service.as_ref(), addresses)
    }

    fn question(&self, notes: &Notes) -> Question {
        let options = notes.options();
        let asked = options.map(|options| self.way(options).service);
        let asked = asked.and_then(|asked| ServiceName::new(asked).ok());
        Question {
            service: self.service.clone(),
            asked: asked.unwrap_or_else(|| self.service.clone()),
            dialect: notes.dialect(),
            deadline: notes.deadline(),
        }
    }
}

fn waits(notes: &Notes) -> bool {
    let options = notes.options();
    options.is_some_and(|options| options.get_wait_for_ready() == Some(true))
}

/// The nodes of a call are frozen, so one that waits goes on waiting while the service is known and has none.
fn somebody(selected: Result<Picker, SelectError>) -> Option<Picker> {
    selected.ok().filter(|picker| !picker.is_empty())
}

/// go-micro's gRPC client goes to the first address, always.
fn picker_of(addresses: &[String], options: &CallOptions) -> Picker {
    if options.spoken().is_go_micro() || addresses.len() == 1 {
        return Picker::fixed(Candidate::at(&addresses[0]));
    }
    let strategy = options.get_select().strategy.clone();
    let strategy = strategy.unwrap_or_else(|| Arc::new(P2c) as Arc<dyn Strategy>);
    let candidates = addresses.iter().map(|address| Candidate::at(address));
    Picker::one_of(candidates.collect(), strategy, true)
}

impl<S: Clone> Select<S> {
    /// Takes what was made ready along, and leaves a fresh clone.
    fn wait<R, F>(
        &mut self,
        question: Question,
        selection: Asking,
        request: R,
    ) -> ResponseFuture<S, R, F> {
        let fresh = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, fresh);
        ResponseFuture::waiting(question, selection, ready, request)
    }
}

impl<S, B> Service<Request<B>> for Select<S>
where
    B: 'static,
    S: Service<Request<B>> + Clone,
    S::Error: Into<Error>,
{
    type Response = S::Response;
    type Error = Error;
    type Future = ResponseFuture<S, Request<B>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.layer.choose(Notes::of_mut(&mut request)) {
            Chosen::Set => ResponseFuture::Calling(self.inner.call(request)),
            Chosen::Nothing(error) => ResponseFuture::Refused(Some(error)),
            Chosen::Later(question, selection) => self.wait(*question, selection, request),
        }
    }
}

/// Waits for the first set, if there is none, then for the call.
#[pin_project(project = Projected)]
#[derive(Debug)]
pub enum ResponseFuture<S, R, F> {
    /// No node.
    Refused(Option<Error>),
    /// The registry has not answered yet.
    Waiting(Box<Waiting<S, R>>),
    /// The set is chosen.
    Calling(#[pin] F),
}

/// A call that came before the registry's first answer.
pub struct Waiting<S, R> {
    question: Question,
    selection: Asking,
    expiry: Option<Pin<Box<Expiry>>>,
    parked: Option<(S, R)>,
}

impl<S, R> std::fmt::Debug for Waiting<S, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting")
            .field("question", &self.question)
            .finish_non_exhaustive()
    }
}

impl<S, R, F> ResponseFuture<S, R, F> {
    fn waiting(question: Question, selection: Asking, ready: S, request: R) -> Self {
        let expiry = question.deadline;
        Self::Waiting(Box::new(Waiting {
            question,
            selection,
            expiry: expiry.map(|deadline| Box::pin(Expiry::at(deadline.instant()))),
            parked: Some((ready, request)),
        }))
    }
}

impl<S, R> Waiting<S, R> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Picker, Error>> {
        if let Poll::Ready(selected) = self.selection.as_mut().poll(cx) {
            return Poll::Ready(selected.map_err(|error| self.question.failed(error)));
        }
        match &mut self.expiry {
            Some(expiry) => expiry
                .as_mut()
                .poll(cx)
                .map(|()| Err(self.question.timed_out())),
            None => Poll::Pending,
        }
    }
}

impl<S, B> Future for ResponseFuture<S, Request<B>, S::Future>
where
    B: 'static,
    S: Service<Request<B>>,
    S::Error: Into<Error>,
{
    type Output = Result<S::Response, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let next = match self.as_mut().project() {
                Projected::Refused(error) => {
                    return Poll::Ready(Err(error.take().expect("polled after it was ready")));
                }
                Projected::Calling(future) => return future.poll(cx).map_err(Into::into),
                Projected::Waiting(waiting) => {
                    let picker = ready!(waiting.poll(cx))?;
                    let (mut ready, mut request) = waiting
                        .parked
                        .take()
                        .expect("taken once, when the wait ends");
                    let notes = Notes::of_mut(&mut request);
                    notes.set_picker(&waiting.question.service, picker);
                    notes.set_now(Instant::now());
                    ready.call(request)
                }
            };
            self.set(Self::Calling(next));
        }
    }
}
