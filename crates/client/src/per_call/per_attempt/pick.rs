//! Chooses the node of an attempt, and tells the selector how it did: go-micro's `next` and `Mark`.
//!
//! # Place in the stack
//! Outermost of an attempt, so that what the outermost call wrapper returns is what the node is marked with. Reads: the
//! [`Picker`](tower_micro_selector::Picker), the service, options, [`Deadline`](tower_micro_call::Deadline) and, over call wrappers, when
//! they ran their inside ([`PickLayer::over_outcomes`]). Leaves: the node.
//!
//! # Units and defaults
//! The node counts the attempt as in flight until its response has ended, trailers included. An attempt is marked once, at that
//! moment: with its outcome, or as timed out or cancelled when it is let go of. How long the node takes to answer, if the strategy
//! wants to know, is told when the head of the response comes. Without a picker the request goes on unchanged.
//!
//! # Errors
//! What `next` failed with: UNAVAILABLE, in go-micro's dialects its 500. RESOURCE_EXHAUSTED if
//! [`CallOptions::max_in_flight`](tower_micro_call::CallOptions::max_in_flight) attempts are under way at the node. Such attempts are not
//! marked: a node that is out, and is full besides, comes back when one of those under way ends well, or is asked for another ten seconds
//! later.
//!
//! # Example
//! ```
//! use tower::ServiceBuilder;
//! use tower_micro_client::{PickLayer, RetryLayer};
//!
//! # async fn stack() {
//! let channel = ServiceBuilder::new()
//!     .layer(RetryLayer::new())
//!     .layer(PickLayer::new())
//!     .service(tonic::transport::Channel::from_static("http://127.0.0.1:50051").connect_lazy());
//! # }
//! ```
//!
//! # Not here
//! The set of nodes: see [`select`](crate::per_call::select).

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_micro_call::{AnswerBody, CallReport, Error, Marking, Notes, Picked, ResponseBody};
use tower_micro_selector::Selector;
use tower_service::Service;

use crate::answer;

/// Makes [`Pick`] services. See the [module docs](self) for an example.
#[derive(Clone, Debug, Default)]
pub struct PickLayer {
    marking: Marking,
    over_outcomes: bool,
}

impl PickLayer {
    /// Picks, and tells nobody how the node did.
    pub fn new() -> Self {
        Self::default()
    }

    /// Picks, and marks the node with `selector`.
    pub fn marking(selector: Arc<dyn Selector>) -> Self {
        Self {
            marking: Marking::from(selector),
            over_outcomes: false,
        }
    }

    /// Inside there are an [`AttemptTimeoutLayer`](crate::AttemptTimeoutLayer) and an [`OutcomeLayer`](crate::OutcomeLayer), which know
    /// when wrappers in between have run their inside, and the attempt's own connection: the time that a wrapper waits before, and a
    /// connection of its own that fails, are not held against the node, and are no reason to do the attempt once more.
    #[must_use]
    pub fn over_outcomes(self) -> Self {
        Self {
            over_outcomes: true,
            ..self
        }
    }
}

impl<S> Layer<S> for PickLayer {
    type Service = Pick<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Pick {
            inner,
            layer: self.clone(),
        }
    }
}

/// Chooses the node of an attempt.
#[derive(Clone, Debug)]
pub struct Pick<S> {
    inner: S,
    layer: PickLayer,
}

impl<S> Pick<S> {
    fn pick(&self, notes: &mut Notes) -> Result<Option<Picked>, Error> {
        let (Some(picker), Some(service)) = (notes.picker(), notes.service()) else {
            return Ok(None);
        };
        let node = picker
            .choose()
            .map_err(|error| Error::select(service, error, notes.dialect()))?;
        notes.set_node(node);
        match full(notes) {
            Some(full) => Err(full),
            None => Ok(self.begin(notes)),
        }
    }

    #[inline]
    fn begin(&self, notes: &Notes) -> Option<Picked> {
        let picked = Picked::begin(notes, &self.layer.marking)?;
        Some(if self.layer.over_outcomes {
            picked.within_wrappers(notes.attempt().number)
        } else {
            picked
        })
    }
}

/// Why no more may go to the node, if that is so.
fn full(notes: &Notes) -> Option<Error> {
    let limit = notes.options()?.get_max_in_flight()?;
    let (node, service) = (notes.node()?, notes.service()?);
    let error = || Error::overload(limit, notes.dialect());
    (node.in_flight() >= limit).then(|| error().with_service(service).with_node(node))
}

fn reports(notes: &Notes) -> bool {
    let options = notes.options();
    options.is_some_and(|options| options.get_report() == Some(true))
}

impl<S, B, RB> Service<Request<B>> for Pick<S>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone,
    S::Error: Into<Error>,
    B: 'static,
    RB: AnswerBody,
{
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let mut picked = None;
        let mut reports = false;
        if let Some(notes) = Notes::get_mut(&mut request) {
            reports = self::reports(notes);
            match self.pick(notes) {
                Ok(node) => picked = node,
                Err(error) => {
                    // What was made ready for it is given back: this may rest for long before its next call.
                    self.inner = self.inner.clone();
                    return ResponseFuture {
                        attempt: answer::ResponseFuture::refused(error),
                        picked,
                        reports,
                        over_outcomes: false,
                        has_waited: false,
                    };
                }
            }
        }
        // A wrapper that panics in its call drops what was picked, and so marks the node.
        ResponseFuture {
            attempt: answer::ResponseFuture::Calling(self.inner.call(request)),
            picked,
            reports,
            over_outcomes: self.layer.over_outcomes,
            has_waited: false,
        }
    }
}

/// An attempt that knows its node. Dropped half-way, it marks the node as timed out or cancelled.
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F> {
    #[pin]
    attempt: answer::ResponseFuture<F>,
    picked: Option<Picked>,
    reports: bool,
    over_outcomes: bool,
    has_waited: bool,
}

impl<F, RB, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<RB>, E>>,
    E: Into<Error>,
    RB: AnswerBody,
{
    type Output = Result<Response<ResponseBody>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.attempt.poll(cx) {
            Poll::Ready(answer) => {
                let answer = match answer {
                    Ok(response) => Ok(AnswerBody::adopt(response)),
                    Err(error) if *this.over_outcomes => Err(error.or_of_wrapper()),
                    Err(error) => Err(error),
                };
                Poll::Ready(match this.picked.take() {
                    Some(picked) => settled(picked, answer, *this.reports),
                    None => answer,
                })
            }
            // Whoever keeps the deadline asks once more when it has passed: before, the clock need not be read.
            Poll::Pending if !std::mem::replace(this.has_waited, true) => Poll::Pending,
            Poll::Pending => match this.picked.take_if(|picked| picked.is_overdue()) {
                Some(picked) => Poll::Ready(Err(picked.time_out())),
                None => Poll::Pending,
            },
        }
    }
}

/// Marks an attempt that failed; one that has begun to answer is marked when the answer has ended.
fn settled(
    mut picked: Picked,
    answer: Result<Response<ResponseBody>, Error>,
    reports: bool,
) -> Result<Response<ResponseBody>, Error> {
    let mut response = match answer {
        Ok(response) => response,
        Err(error) => return Err(picked.fail(error)),
    };
    picked.answered();
    if reports {
        let node = Some(Arc::clone(picked.node()));
        let report = CallReport::new(0, Duration::ZERO).with_node(node);
        response.extensions_mut().insert(report);
    }
    response.body_mut().set_picked(picked);
    Ok(response)
}
