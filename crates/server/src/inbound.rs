//! Reads what a call came with, and puts it around the handler.
//!
//! The calls a handler makes through a tower-micro client end with the call it serves, and carry on its metadata, as they do with
//! go-micro's `context` (`server/grpc/grpc.go`). That is all of it, `authorization` and `cookie` included, and it stands over the metadata of
//! the client's own options: a service that calls others in its own name sets that in the options of the request, which stand over it. A call
//! that goes to somebody for whom it is not meant takes it out there, by an empty value. If the call it serves is a retry, they are
//! not retried themselves, so that retries do not multiply at this hop;
//! [`CallOptions::retry_within_retry`](tower_micro_call::CallOptions::retry_within_retry) switches that off.
//!
//! # Place in the stack
//! Outermost on a server, outside of handler wrappers. Leaves: the [`ambient`] context.
//!
//! # Units and defaults
//! The deadline is the earlier one of `grpc-timeout` and go-micro's `timeout` in nanoseconds. A header that cannot be read is
//! ignored, as in go-micro.
//!
//! # Errors
//! None.
//!
//! # Example
//! ```
//! use tower_micro_server::InboundLayer;
//!
//! let server = tonic::transport::Server::builder().layer(InboundLayer::new());
//! # let _ = server;
//! ```
//!
//! # Not here
//! Ending the handler when its time is up: tonic's server does that for `grpc-timeout`. Tasks that a handler spawns: they are
//! outside, see [`ambient::scope`].

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, Request, Response};
use tokio::time::Instant;
use tower_layer::Layer;
use tower_micro_call::{
    Ambient, Metadata, ambient, header,
    timeout::{grpc_timeout, parse_nanoseconds},
};
use tower_service::Service;

use crate::answer::{AmbientBody, ResponseFuture};

/// Makes [`Inbound`] services. See the [module docs](self) for an example.
#[derive(Clone, Copy, Debug, Default)]
pub struct InboundLayer;

impl InboundLayer {
    /// Reads deadline and metadata.
    pub const fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for InboundLayer {
    type Service = Inbound<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Inbound { inner }
    }
}

/// Reads what a call came with, and puts it around the handler.
#[derive(Clone, Debug)]
pub struct Inbound<S> {
    inner: S,
}

fn ambient_of(headers: &HeaderMap) -> Ambient {
    Ambient::new()
        .with_deadline(deadline_of(headers))
        .with_metadata(Metadata::from_headers(headers))
        .with_retry(is_retry(headers))
}

/// Whether the caller has tried before (gRFC A6).
fn is_retry(headers: &HeaderMap) -> bool {
    let attempts = headers.get(header::GRPC_PREVIOUS_RPC_ATTEMPTS);
    let attempts = attempts.and_then(|value| value.to_str().ok());
    attempts
        .and_then(|attempts| attempts.parse::<u32>().ok())
        .is_some_and(|attempts| attempts > 0)
}

fn deadline_of(headers: &HeaderMap) -> Option<Instant> {
    let grpc = headers.get(header::GRPC_TIMEOUT);
    let grpc = grpc.and_then(|value| grpc_timeout::parse(value).ok());
    let go_micro = headers.get(header::TIMEOUT);
    let go_micro = go_micro.and_then(|value| parse_nanoseconds(value).ok());
    let timeout: Option<Duration> = [grpc, go_micro].into_iter().flatten().min();
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}

impl<S, B, RB> Service<Request<B>> for Inbound<S>
where
    S: Service<Request<B>, Response = Response<RB>>,
{
    type Response = Response<AmbientBody<RB>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let ambient = Arc::new(ambient_of(request.headers()));
        let handler = ambient::within(Arc::clone(&ambient), || self.inner.call(request));
        ResponseFuture::new(ambient, handler)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use futures_util::{StreamExt, stream};
    use http_body::Frame;
    use http_body_util::{BodyExt, StreamBody};
    use tower::{ServiceExt, service_fn};

    use super::*;

    fn request(headers: &[(&'static str, &'static str)]) -> Request<()> {
        let mut request = Request::new(());
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        request
    }

    async fn seen(headers: &[(&'static str, &'static str)]) -> Arc<Ambient> {
        let handler = service_fn(|_: Request<()>| async {
            let mut response = Response::new(String::new());
            response
                .extensions_mut()
                .insert(ambient::current().unwrap());
            Ok::<_, Infallible>(response)
        });
        let inbound = InboundLayer::new().layer(handler);
        let mut response = inbound.oneshot(request(headers)).await.unwrap();
        response.extensions_mut().remove().unwrap()
    }

    #[tokio::test]
    async fn a_handler_that_answers_with_a_stream_has_it_around_each_message() {
        let handler = service_fn(|_: Request<()>| async {
            let frames = stream::repeat_with(|| {
                let ambient = ambient::current().unwrap();
                let tenant = ambient.metadata.get("x-tenant").unwrap();
                Ok::<_, Infallible>(Frame::data(Bytes::from(tenant.to_owned())))
            });
            Ok::<_, Infallible>(Response::new(StreamBody::new(frames.take(2))))
        });
        let inbound = InboundLayer::new().layer(handler);
        let response = inbound.oneshot(request(&[("x-tenant", "blue")])).await;
        let sent = response.unwrap().into_body().collect().await.unwrap();
        assert_eq!(sent.to_bytes(), "blueblue");
        assert!(ambient::current().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_earlier_of_both_timeouts_is_the_handlers_deadline() {
        let ambient = seen(&[("grpc-timeout", "2S"), ("timeout", "500000000")]).await;
        assert_eq!(
            ambient.deadline,
            Some(Instant::now() + Duration::from_millis(500))
        );
        let ambient = seen(&[("grpc-timeout", "2S"), ("timeout", "5000000000")]).await;
        assert_eq!(
            ambient.deadline,
            Some(Instant::now() + Duration::from_secs(2))
        );
    }

    #[tokio::test]
    async fn a_call_that_was_tried_before_is_a_retry() {
        assert!(seen(&[("grpc-previous-rpc-attempts", "1")]).await.is_retry);
        for first in ["0", "-1", "x", ""] {
            assert!(
                !seen(&[("grpc-previous-rpc-attempts", first)])
                    .await
                    .is_retry
            );
        }
    }

    #[tokio::test]
    async fn a_timeout_that_cannot_be_read_is_none() {
        let ambient = seen(&[("grpc-timeout", "soon"), ("timeout", "-1")]).await;
        assert_eq!(ambient.deadline, None);
    }

    #[tokio::test]
    async fn metadata_is_what_the_caller_sent_without_the_transports_own() {
        let ambient = seen(&[("x-tenant", "blue"), ("content-type", "application/grpc")]).await;
        let metadata: Vec<_> = ambient.metadata.iter().collect();
        assert_eq!(metadata, [("X-Tenant", "blue")]);
    }
}
