//! What is kept of a request so that it can be sent again.
//!
//! A copy of [`http::Extensions`] costs as much as choosing a node. So only what an attempt needs is kept: the method of the
//! generated client and our own notes. Whatever a layer inside puts on the request is gone with the attempt.

use http::{HeaderName, HeaderValue, Method, Request, Uri, Version};
use smallvec::SmallVec;
use tonic::GrpcMethod;
use tower_micro_call::{Attempt, Body, Notes, Replay};
use tower_micro_selector::Picker;

/// A request as it came in, before any attempt changed it.
#[derive(Debug)]
pub(super) struct Head {
    method: Method,
    uri: Uri,
    version: Version,
    headers: SmallVec<[(HeaderName, HeaderValue); 6]>,
    grpc_method: Option<GrpcMethod<'static>>,
    notes: Notes,
    body: Body,
}

impl Head {
    /// Keeps `request`, whose body is `body` once more.
    pub(super) fn of<B>(request: &Request<B>, body: Body) -> Self {
        let notes = Notes::of(request.extensions());
        let headers = request.headers().iter();
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: headers
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            grpc_method: request.extensions().get().cloned(),
            notes: notes.cloned().unwrap_or_default(),
            body,
        }
    }

    /// Whether the next attempt can go to a node that was not tried.
    pub(super) fn has_untried(&self) -> bool {
        self.notes.picker().is_some_and(Picker::has_untried)
    }

    /// The request once more, for `attempt`; `None` if its body cannot begin again.
    pub(super) fn request<B: Replay>(&self, attempt: Attempt) -> Option<Request<B>> {
        let body = self.body.replay_anew()?;
        let mut request = Request::new(B::restore(body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = self.version;
        request.headers_mut().extend(self.headers.iter().cloned());
        let mut notes = self.notes.clone();
        notes.set_attempt(attempt);
        let extensions = request.extensions_mut();
        if let Some(method) = &self.grpc_method {
            extensions.insert(method.clone());
        }
        extensions.insert(notes);
        Some(request)
    }
}
