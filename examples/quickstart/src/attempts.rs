//! Counts the attempts of each node: a call wrapper that is a tower layer.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use http::Request;
use tower_layer::Layer;
use tower_micro::Notes;
use tower_service::Service;

/// Attempts by node. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempts(Arc<Mutex<BTreeMap<String, usize>>>);

impl Attempts {
    /// A layer that counts here.
    pub(crate) fn layer(&self) -> CountAttemptsLayer {
        CountAttemptsLayer(self.clone())
    }

    /// The counts so far, by node.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn count(&self, node: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(node.to_owned()).or_default() += 1;
    }
}

/// Makes [`CountAttempts`] services.
#[derive(Clone, Debug)]
pub(crate) struct CountAttemptsLayer(Attempts);

impl<S> Layer<S> for CountAttemptsLayer {
    type Service = CountAttempts<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let attempts = self.0.clone();
        CountAttempts { inner, attempts }
    }
}

/// Counts each attempt at the node it goes to.
#[derive(Clone, Debug)]
pub(crate) struct CountAttempts<S> {
    inner: S,
    attempts: Attempts,
}

impl<S, B> Service<Request<B>> for CountAttempts<S>
where
    B: 'static,
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        let notes = Notes::of(&request);
        if let Some(node) = notes.and_then(Notes::node) {
            self.attempts.count(&node.id);
        }
        self.inner.call(request)
    }
}
