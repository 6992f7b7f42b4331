//! What is added to an error on its way out: where, on which attempt, and what came before.

use std::{error::Error as StdError, sync::Arc};

use bytes::Bytes;
use tonic::Status;
use tower_micro_registry::ServiceName;
use tower_micro_selector::Candidate;

use super::{Disposition, Error, Inner, Kind};

impl Error {
    /// Adds the service.
    #[must_use]
    pub fn with_service(mut self, service: &ServiceName) -> Self {
        if self.0.service.is_none() {
            self.edit().service = Some(service.clone());
            self.retell();
        }
        self
    }

    /// Adds the node, unless one is there: the innermost layer knows best.
    #[must_use]
    pub fn with_node(mut self, node: &Arc<Candidate>) -> Self {
        if self.0.node.is_none() {
            self.edit().node = Some(Arc::clone(node));
            self.retell();
        }
        self
    }

    /// Adds how many attempts were made, and how the one before the last ended.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32, previous: Option<Self>) -> Self {
        let inner = self.edit();
        inner.attempts = attempts;
        inner.previous = previous;
        self.retell();
        self
    }

    /// Replaces the disposition.
    #[must_use]
    pub fn with_disposition(mut self, disposition: Disposition) -> Self {
        self.edit().disposition = disposition;
        self
    }

    /// Adds what the caller can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: &'static str) -> Self {
        self.edit().hint = Some(hint);
        self.retell();
        self
    }

    /// Adds the cause, which becomes the source of the status.
    #[must_use]
    pub fn caused_by(mut self, cause: Arc<dyn StdError + Send + Sync>) -> Self {
        let inner = self.edit();
        inner.status.set_source(Arc::clone(&cause));
        inner.cause = Some(cause);
        self
    }

    /// The same failure as `status` tells of it, which was made from this error.
    pub(super) fn in_words_of(mut self, status: &Status) -> Self {
        // The story is told again where the error goes further out: what the wrapper has put around it stays.
        let text = status
            .message()
            .replace(self.status().message(), self.text());
        let inner = self.edit();
        inner.text = text;
        inner.status = told(status.message().to_owned(), status, inner.cause.clone());
        self
    }

    /// Says that the connection which failed is that of the attempt, where wrappers may have connections too.
    #[must_use]
    pub fn of_own_connection(mut self) -> Self {
        if self.is_of_connection() {
            self.edit().is_own = true;
        }
        self
    }

    /// The same failure, if it is not that of a connection which a wrapper has to another server: whether that could be made, or has broken,
    /// says nothing of the attempt. Inside of whoever asks all others were said to be [the attempt's](Self::of_own_connection).
    #[must_use]
    pub fn or_of_wrapper(self) -> Self {
        if self.0.is_own || !self.is_of_connection() {
            return self;
        }
        self.of_another_call()
    }

    fn is_of_connection(&self) -> bool {
        matches!(self.kind(), Kind::Connect | Kind::Transport)
    }

    /// The same failure, if it is of an attempt, which names its service only when it has ended. Of a call that a wrapper made, only what
    /// it said is of interest: whether that one was sent, or was too late, says nothing of the attempt.
    pub(crate) fn of_attempt(self) -> Result<Self, Self> {
        if self.0.service.is_none() {
            return Ok(self);
        }
        Err(self.of_another_call())
    }

    fn of_another_call(self) -> Self {
        let told = self.micro().cloned();
        let mut error = Self::from_status_parts(Kind::Other, Disposition::Unknown, self.into());
        error.edit().micro = told;
        error
    }

    pub(super) fn edit(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }

    /// Writes the story into the message. What a node or a wrapper said is theirs and stays.
    fn retell(&mut self) {
        if matches!(self.kind(), Kind::Status | Kind::Other) {
            return;
        }
        let message = self.story();
        let inner = self.edit();
        inner.status = told(message, &inner.status, inner.cause.clone());
    }

    fn story(&self) -> String {
        let mut story = self.text().to_owned();
        let places = self.places();
        if !places.is_empty() {
            story = format!("{story} ({places})");
        }
        if let Some(previous) = self.previous() {
            let (code, text) = (previous.code(), previous.text());
            story = format!("{story}; the attempt before ended with {code:?}: {text}");
        }
        if let Some(hint) = self.0.hint {
            story = format!("{story}; {hint}");
        }
        story
    }

    fn places(&self) -> String {
        let service = self
            .0
            .service
            .as_ref()
            .map(|name| format!("service {name}"));
        let node = self.node().map(|node| format!("node {node}"));
        let attempts = match self.attempts() {
            0 => None,
            1 => Some("1 attempt".to_owned()),
            many => Some(format!("{many} attempts")),
        };
        let places: Vec<_> = [service, node, attempts].into_iter().flatten().collect();
        places.join(", ")
    }
}

/// `status` with another message, and the cause as its source.
fn told(
    message: String,
    status: &Status,
    cause: Option<Arc<dyn StdError + Send + Sync>>,
) -> Status {
    let mut told = Status::with_details_and_metadata(
        status.code(),
        message,
        Bytes::copy_from_slice(status.details()),
        status.metadata().clone(),
    );
    if let Some(cause) = cause {
        told.set_source(cause);
    }
    told
}
