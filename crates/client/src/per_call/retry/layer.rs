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

use super::{again::Again, course::Course, future::ResponseFuture};
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

impl<S: Clone> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Retry {
            spare: Arc::new(inner.clone()),
            inner,
            options: Arc::clone(&self.options),
            memory: Arc::clone(&self.memory),
        }
    }
}

/// Does a call that failed once more.
#[derive(Clone, Debug)]
pub struct Retry<S> {
    /// What first attempts go through.
    inner: S,
    /// What later ones are cloned from: a call that needs none clones nothing.
    spare: Arc<S>,
    options: Arc<CallOptions>,
    memory: Arc<ReplayMemory>,
}

impl<S> Retry<S> {
    fn course<B: Replay>(&self, request: &mut Request<B>) -> Course {
        let notes = Notes::of(request.extensions());
        let options = notes.and_then(Notes::options).unwrap_or(&self.options);
        let retries = options.get_retries().unwrap_or(0);
        let limit = options.get_replay_limit().unwrap_or(REPLAY);
        let waits = options.get_wait_for_ready() == Some(true);
        if (retries > 0 || waits)
            && let Some(body) = self.keep(request.body_mut(), limit)
        {
            return self.repeatable(request, body, retries);
        }
        let notes = Notes::of(request.extensions());
        let options = notes.and_then(Notes::options).unwrap_or(&self.options);
        Course::once(Arc::clone(options), notes.and_then(Notes::deadline))
    }

    fn repeatable<B>(&self, request: &mut Request<B>, body: Body, retries: u32) -> Course {
        let notes = Notes::of_mut(request.extensions_mut());
        notes.set_attempt(Attempt::new(0, retries));
        let mut again = Box::<Again>::default();
        if notes.options().is_none() {
            again.default = Some(Arc::clone(&self.options));
        }
        again.retries = retries;
        again.head.keep(request, body);
        Course::repeatable(again)
    }

    /// The body once more; `None` if it can be sent only once. Of a stream at most `limit` bytes are kept.
    fn keep<B: Replay>(&self, body: &mut B, limit: usize) -> Option<Body> {
        if let Some(again) = body.whole() {
            return Some(again);
        }
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
        let course = self.course(&mut request);
        ResponseFuture::start(&mut self.inner, Arc::clone(&self.spare), request, course)
    }
}
