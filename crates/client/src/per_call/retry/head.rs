//! What is kept of a request so that it can be sent again.
//!
//! A copy of [`http::Extensions`] costs as much as choosing a node. So it is made only where the caller or a client wrapper has put
//! something there; else the method of the generated client is all that is kept. Whatever a layer inside puts on the request is gone
//! with the attempt.

use std::{fmt, ptr};

use http::{
    Extensions, HeaderName, HeaderValue, Method, Request, Uri, Version,
    uri::{Authority, PathAndQuery},
};
use smallvec::SmallVec;
use tonic::GrpcMethod;
use tower_micro_call::{Attempt, Common, Notes, Payload, Replay};

/// Room for as many headers as most requests come with.
type Headers = SmallVec<[(HeaderName, HeaderValue); 4]>;

/// A request without its body as it came in, before any attempt changed it.
pub(super) struct Head {
    method: Method,
    uri: Uri,
    version: Version,
    grpc_method: Option<GrpcMethod<'static>>,
    /// All of them, if there are others.
    extensions: Option<Extensions>,
    headers: Headers,
}

/// The extensions of `request`, if there are more than the method of a generated client and notes.
fn others<B>(request: &Request<B>, method: bool) -> Option<&Extensions> {
    let extensions = request.extensions();
    let mut known = usize::from(method);
    if extensions.len() > known {
        known += usize::from(extensions.get::<Notes>().is_some());
    }
    (extensions.len() > known).then_some(extensions)
}

impl Head {
    /// That of `request`.
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let grpc_method: Option<GrpcMethod<'static>> = request.extensions().get().cloned();
        let others = others(request, grpc_method.is_some());
        let headers = request.headers().iter();
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            extensions: others.cloned(),
            grpc_method,
            headers: headers
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        }
    }

    /// Whether that of `request` is the same, to the last letter. Extensions cannot be compared.
    pub(super) fn is_of<B>(&self, request: &Request<B>) -> bool {
        let method: Option<&GrpcMethod<'static>> = request.extensions().get();
        self.is_plain()
            && others(request, method.is_some()).is_none()
            && same_method(self.grpc_method.as_ref(), method)
            && self.method == *request.method()
            && self.version == request.version()
            && same_uri(&self.uri, request.uri())
            && self.headers.len() == request.headers().len()
            && self.headers.iter().zip(request.headers()).all(same_header)
    }

    /// Whether there are no extensions but the method of a generated client.
    pub(super) const fn is_plain(&self) -> bool {
        self.extensions.is_none()
    }

    /// The request once more, for `attempt`, with what `payload` sends.
    pub(super) fn request<B: Replay>(
        &self,
        payload: Payload,
        common: Common,
        attempt: Attempt,
    ) -> Request<B> {
        let mut request = Request::new(B::restore(payload.into()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = self.version;
        request.headers_mut().extend(self.headers.iter().cloned());
        if let Some(extensions) = &self.extensions {
            *request.extensions_mut() = extensions.clone();
        } else if let Some(method) = &self.grpc_method {
            request.extensions_mut().insert(method.clone());
        }
        *Notes::of_mut(&mut request) = Notes::again(common, attempt);
        request
    }
}

/// Names its headers, and keeps to itself what they say.
impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Head")
            .field("method", &self.method)
            .field("uri", &self.uri)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

fn same_method(kept: Option<&GrpcMethod<'_>>, given: Option<&GrpcMethod<'_>>) -> bool {
    match (kept, given) {
        (Some(kept), Some(given)) => {
            same(kept.service().as_bytes(), given.service().as_bytes())
                && same(kept.method().as_bytes(), given.method().as_bytes())
        }
        (kept, given) => kept.is_none() && given.is_none(),
    }
}

fn same_uri(kept: &Uri, given: &Uri) -> bool {
    fn path(uri: &Uri) -> &[u8] {
        uri.path_and_query()
            .map_or("", PathAndQuery::as_str)
            .as_bytes()
    }
    fn authority(uri: &Uri) -> Option<&str> {
        uri.authority().map(Authority::as_str)
    }
    same(path(kept), path(given))
        && kept.scheme() == given.scheme()
        && authority(kept) == authority(given)
}

type Header<'a> = (
    &'a (HeaderName, HeaderValue),
    (&'a HeaderName, &'a HeaderValue),
);

fn same_header((kept, given): Header<'_>) -> bool {
    kept.0 == *given.0
        && same(kept.1.as_bytes(), given.1.as_bytes())
        && kept.1.is_sensitive() == given.1.is_sensitive()
}

/// Most texts of a request are the program's own, and the same ones each time: then nothing is read.
fn same(one: &[u8], other: &[u8]) -> bool {
    ptr::eq(one, other) || one == other
}
