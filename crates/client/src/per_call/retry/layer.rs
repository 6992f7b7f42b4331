use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_layer::Layer;
use tower_micro_call::{
    AnswerBody, Attempt, Body, CallOptions, Error, Notes, Replay, ReplayMemory, ResponseBody,
};
use tower_service::Service;

use super::{course::Course, future::ResponseFuture, head::Head};
use crate::Preset;

/// What is kept of a stream so that it can be sent again, unless its options say otherwise.
const REPLAY: usize = 64 * 1024;

/// Makes [`Retry`] services. See the [module docs](super) for an example.
#[derive(Clone, Debug)]
pub struct RetryLayer {
    options: Arc<CallOptions>,
    memory: Arc<ReplayMemory>,
}

impl RetryLayer {
    /// Retries as the options of each call say, or as `Preset::Standard` does where there are none.
    pub fn new() -> Self {
        Self::with_options(CallOptions::new())
    }

    /// Shares what may be kept of streams with other layers.
    #[must_use]
    pub fn with_memory(mut self, memory: Arc<ReplayMemory>) -> Self {
        self.memory = memory;
        self
    }

    /// The same, with `options` over those of `Preset::Standard` where a call comes without.
    pub fn with_options(options: CallOptions) -> Self {
        let options = Arc::new(Preset::Standard.options().merged(options));
        let memory = Arc::default();
        Self { options, memory }
    }
}

impl Default for RetryLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Retry {
            inner,
            options: Arc::clone(&self.options),
            memory: Arc::clone(&self.memory),
        }
    }
}

/// Does a call that failed once more.
#[derive(Clone, Debug)]
pub struct Retry<S> {
    inner: S,
    options: Arc<CallOptions>,
    memory: Arc<ReplayMemory>,
}

impl<S> Retry<S> {
    /// The body once more; `None` if it can be sent only once.
    fn keep<B: Replay>(&self, body: &mut B, options: &CallOptions) -> Option<Body> {
        let limit = options.get_replay_limit().unwrap_or(REPLAY);
        let captured = std::mem::take(body).capture();
        let captured = captured.replayable(limit, &self.memory);
        let again = captured.replay();
        *body = B::restore(captured);
        again
    }
}

impl<S, B, RB> Service<Request<B>> for Retry<S>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone,
    S::Error: Into<Error>,
    B: Replay,
    RB: AnswerBody,
{
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = ResponseFuture<S, B, S::Future>;

    // Each attempt makes the inside ready within the call, where its deadline covers the wait.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let options = Notes::of(request.extensions()).and_then(Notes::options);
        let options = Arc::clone(options.unwrap_or(&self.options));
        let again = match options.get_retries() {
            None | Some(0) => None,
            Some(_) => self.keep(request.body_mut(), &options),
        };
        let retries = again.as_ref().and(options.get_retries()).unwrap_or(0);
        let deadline = if retries > 0 {
            let notes = Notes::of_mut(request.extensions_mut());
            notes.set_attempt(Attempt::new(0, retries));
            notes.deadline()
        } else {
            Notes::of(request.extensions()).and_then(Notes::deadline)
        };
        let head = again.map(|body| Box::new(Head::of(&request, body)));
        let course = Course::new(options, deadline, head, retries);
        ResponseFuture::start(self.inner.clone(), request, course)
    }
}
