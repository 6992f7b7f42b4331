use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_layer::Layer;
use tower_micro_call::{
    AnswerBody, CallOptions, Common, Error, Notes, Payload, Replay, ReplayMemory, ResponseBody,
};
use tower_service::Service;

use super::{
    future::{Flight, ResponseFuture},
    template::Last,
};
use crate::Preset;

/// What is kept of a stream so that it can be sent again, unless its options say otherwise.
const REPLAY: usize = 64 * 1024;

/// Makes [`Retry`] services. See the [module docs](super) for an example.
#[derive(Clone, Debug)]
pub struct RetryLayer {
    /// The options of calls that come without.
    default: Common,
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
        let default = Common::from(options);
        let memory = Arc::default();
        Self { default, memory }
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
            last: Last::default(),
            default: self.default.clone(),
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
    last: Last<S>,
    default: Common,
    memory: Arc<ReplayMemory>,
}

impl<S> Retry<S> {
    fn begin<B: Replay, F>(&mut self, flight: &mut Flight<S, B, F>, request: &mut Request<B>) {
        let common = self.common(request);
        let options = flight.course.begin(common, &self.default);
        let retries = options.get_retries().unwrap_or(0);
        let limit = options.get_replay_limit().unwrap_or(REPLAY);
        if !repeats(options) {
            return;
        }
        match self.keep(request.body_mut(), limit) {
            Some(payload) => {
                if !payload.is_complete() {
                    Notes::of_mut(request).set_streamed();
                }
                flight.keep(self.last.of(request, &self.spare));
                flight.course.keep(payload, retries);
            }
            None => Notes::of_mut(request).set_attempts_left(0),
        }
    }

    /// What the attempts have in common, and in the notes how many may follow. Where there are no notes, and nothing to say, none are made.
    fn common<B: Replay>(&self, request: &mut Request<B>) -> Common {
        let settle = |notes: &mut Notes| {
            let options = notes.options().or(self.default.options());
            let retries = options.and_then(|options| options.get_retries());
            notes.set_attempts_left(retries.unwrap_or(0));
            notes.common().clone()
        };
        let default = self.default.options();
        match Notes::get_mut(request) {
            Some(notes) => settle(notes),
            None if default.is_some_and(|options| repeats(options)) => {
                settle(Notes::of_mut(request))
            }
            None => self.default.clone(),
        }
    }

    /// The body once more; `None` if it can be sent only once. Of a stream at most `limit` bytes are kept.
    fn keep<B: Replay>(&self, body: &mut B, limit: usize) -> Option<Payload> {
        if let Some(again) = body.whole() {
            return Some(again);
        }
        let captured = std::mem::take(body).capture();
        let mut captured = captured.replayable(limit, &self.memory);
        let again = captured.for_attempts();
        *body = B::restore(captured);
        again
    }
}

/// Whether a call with these options may be sent more than once.
fn repeats(options: &CallOptions) -> bool {
    options.get_retries() > Some(0) || options.get_wait_for_ready() == Some(true)
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
        let mut flight = Box::<Flight<S, B, S::Future>>::default();
        self.begin(&mut flight, &mut request);
        flight.start(&mut self.inner, &self.spare, request);
        flight.into()
    }
}
