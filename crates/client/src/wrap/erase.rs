//! Layers whose type is forgotten, for builders that grow in a loop.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower::util::BoxCloneSyncService;
use tower_layer::Layer;
use tower_micro_call::{Body, BoxFuture, Error, ResponseBody};
use tower_service::Service;

/// What a wrapper can be put around, and what it must be itself: a service of the onion's request and response.
///
/// Nothing to implement: every service that fits is one.
pub trait WrappedService<B>:
    Service<
        Request<B>,
        Response = Response<ResponseBody>,
        Error: Into<Error>,
        Future: Send + 'static,
    > + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S, B> WrappedService<B> for S where
    S: Service<
            Request<B>,
            Response = Response<ResponseBody>,
            Error: Into<Error>,
            Future: Send + 'static,
        > + Clone
        + Send
        + Sync
        + 'static
{
}

type Erased = BoxCloneSyncService<Request<Body>, Response<ResponseBody>, Error>;

/// Any layer of the onion.
#[derive(Clone)]
pub struct ErasedLayer(Arc<dyn Fn(ErasedService) -> ErasedService + Send + Sync>);

impl ErasedLayer {
    pub(crate) fn new<L>(layer: L) -> Self
    where
        L: Layer<ErasedService> + Send + Sync + 'static,
        L::Service: WrappedService<Body>,
    {
        Self(Arc::new(move |inner| {
            ErasedService::new(layer.layer(inner))
        }))
    }
}

impl<S: WrappedService<Body>> Layer<S> for ErasedLayer {
    type Service = ErasedService;

    fn layer(&self, inner: S) -> ErasedService {
        (self.0)(ErasedService::new(inner))
    }
}

impl fmt::Debug for ErasedLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ErasedLayer")
    }
}

/// Any service of the onion.
#[derive(Clone)]
pub struct ErasedService(Erased);

impl ErasedService {
    fn new(service: impl WrappedService<Body>) -> Self {
        let service = tower::ServiceExt::map_err(service, Into::into);
        Self(BoxCloneSyncService::new(service))
    }
}

impl Service<Request<Body>> for ErasedService {
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = BoxFuture<Result<Response<ResponseBody>, Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.call(request)
    }
}

impl fmt::Debug for ErasedService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ErasedService")
    }
}
