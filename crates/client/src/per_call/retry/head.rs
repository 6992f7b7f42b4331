//! What is kept of a request so that it can be sent again.
//!
//! A copy of [`http::Extensions`] costs as much as choosing a node. So only what an attempt needs is kept: the method of the
//! generated client and our own notes. Whatever a layer inside puts on the request is gone with the attempt.

use http::{HeaderName, HeaderValue, Method, Request, Uri, Version};
use smallvec::SmallVec;
use tonic::GrpcMethod;
use tower_micro_call::{Attempt, Body, Notes, Replay};
use tower_micro_selector::Picker;

/// Room for as many headers as most requests come with.
type Headers = SmallVec<[(HeaderName, HeaderValue); 6]>;

/// A request as it came in, before any attempt changed it.
#[derive(Debug, Default)]
pub(super) struct Head {
    method: Method,
    uri: Uri,
    version: Version,
    headers: Headers,
    grpc_method: Option<GrpcMethod<'static>>,
    pub(super) notes: Notes,
    body: Body,
}

impl Head {
    /// Keeps `request`, whose body is `body` once more. A head is large: it is filled where it stands, and not moved there.
    pub(super) fn keep<B>(&mut self, request: &Request<B>, body: Body) {
        self.method = request.method().clone();
        self.uri = request.uri().clone();
        self.version = request.version();
        for (name, value) in request.headers() {
            self.headers.push((name.clone(), value.clone()));
        }
        self.grpc_method = request.extensions().get().cloned();
        if let Some(notes) = Notes::of(request.extensions()) {
            self.notes = notes.clone();
        }
        self.body = body;
    }

    /// Whether the next attempt can go to a node that was not tried.
    pub(super) fn has_untried(&self) -> bool {
        self.notes.picker().is_some_and(Picker::has_untried)
    }

    /// Whether all of the body is here.
    pub(super) const fn is_complete(&self) -> bool {
        self.body.is_complete()
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
