//! What is kept of a request so that it can be sent again.
//!
//! A copy of [`http::Extensions`] costs as much as choosing a node. So it is made only where the caller or a client wrapper has put
//! something there; else the method of the generated client is all that is kept, and beside the head what all attempts have in common.
//! Whatever a layer inside puts on the request is gone with the attempt.

use std::sync::Arc;

use http::{Extensions, HeaderName, HeaderValue, Method, Request, Uri, Version};
use smallvec::SmallVec;
use tonic::GrpcMethod;
use tower_micro_call::{Attempt, Common, Notes, Payload, Replay};

/// Room for as many headers as most requests come with.
type Headers = SmallVec<[(HeaderName, HeaderValue); 4]>;

/// A request as it came in, before any attempt changed it.
#[derive(Debug, Default)]
pub(super) struct Head {
    line: Option<Line>,
    headers: Headers,
    payload: Payload,
}

/// What stands before the headers.
#[derive(Clone, Debug)]
struct Line {
    method: Method,
    uri: Uri,
    version: Version,
    grpc_method: Option<GrpcMethod<'static>>,
    /// All of them, if there are others.
    extensions: Option<Extensions>,
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
    /// Keeps `request`, whose body sends `payload`. A head is large: it is filled where it stands, and not moved there.
    pub(super) fn keep<B>(&mut self, request: &Request<B>, payload: Payload) {
        let grpc_method: Option<GrpcMethod<'static>> = request.extensions().get().cloned();
        let others = others(request, grpc_method.is_some());
        self.line = Some(Line {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            extensions: others.cloned(),
            grpc_method,
        });
        for (name, value) in request.headers() {
            self.headers.push((name.clone(), value.clone()));
        }
        self.payload = payload;
    }

    /// Whether all of the body is here.
    pub(super) const fn is_complete(&self) -> bool {
        self.payload.is_complete()
    }

    /// The request once more, for `attempt`; `None` if its body cannot begin again.
    pub(super) fn request<B: Replay>(
        &self,
        common: &Arc<Common>,
        attempt: Attempt,
    ) -> Option<Request<B>> {
        let payload = self.payload.replay_anew()?;
        let line = self.line.clone()?;
        let mut request = Request::new(B::restore(payload.into()));
        *request.method_mut() = line.method;
        *request.uri_mut() = line.uri;
        *request.version_mut() = line.version;
        request.headers_mut().extend(self.headers.iter().cloned());
        if let Some(extensions) = line.extensions {
            *request.extensions_mut() = extensions;
        } else if let Some(method) = line.grpc_method {
            request.extensions_mut().insert(method);
        }
        *Notes::of_mut(&mut request) = Notes::again(Arc::clone(common), attempt);
        Some(request)
    }
}
