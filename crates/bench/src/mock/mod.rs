//! What stands where the wire would be: a service that answers at once, or when it is asked for the second time.
//!
//! It takes every frame of the request's body, and answers what a unary call is answered with: headers, a message, trailers.
//!
//! # Example
//! ```
//! use tower::ServiceExt;
//! use tower_micro_bench::{mock::Mock, request};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let response = Mock::at_once().oneshot(request::unary()).await.unwrap();
//! assert_eq!(response.headers()["content-type"], "application/grpc");
//! # }
//! ```

mod connect;

mod reply;

pub use connect::{MockConnect, MockConnection};

use std::{
    future::Future,
    hint::black_box,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use tower::Service;
use tower_micro::Error;

/// The mock. See the [module docs](self) for an example.
#[derive(Clone, Copy, Debug)]
pub struct Mock {
    /// How often the answer is not there yet when it is asked for.
    pending: u32,
}

impl Mock {
    /// Answers when it is asked for the first time: no timer is armed.
    pub const fn at_once() -> Self {
        Self { pending: 0 }
    }

    /// Answers when it is asked for the second time: whoever waits with a timer has armed it.
    pub const fn on_the_second_poll() -> Self {
        Self { pending: 1 }
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> Service<Request<B>> for Mock {
    type Response = Response<tonic::body::Body>;
    type Error = Error;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answer {
        drain(request.into_body());
        Answer(*self)
    }
}

/// What it answers with.
#[cfg(feature = "collector")]
pub(crate) fn answer() -> Response<tonic::body::Body> {
    reply::unary()
}

/// Takes all frames of a body that need not be waited for.
pub fn drain<B: HttpBody + Unpin>(mut body: B) {
    let mut cx = Context::from_waker(Waker::noop());
    while !body.is_end_stream() {
        match Pin::new(&mut body).poll_frame(&mut cx) {
            Poll::Ready(Some(Ok(frame))) => drop(black_box(frame)),
            Poll::Ready(_) | Poll::Pending => break,
        }
    }
}

/// The answer of a [`Mock`], once it is there.
#[derive(Debug)]
pub struct Answer(Mock);

impl Future for Answer {
    type Output = Result<Response<tonic::body::Body>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.0.pending > 0 {
            self.0.pending -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(reply::unary()))
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use http_body_util::BodyExt;

    use super::*;
    use crate::request;

    fn polls(mut mock: Mock) -> usize {
        let mut answer = pin!(mock.call(request::unary()));
        let mut cx = Context::from_waker(Waker::noop());
        1 + std::iter::repeat_with(|| answer.as_mut().poll(&mut cx))
            .take_while(Poll::is_pending)
            .count()
    }

    #[test]
    fn it_answers_at_once_or_on_the_second_poll() {
        assert_eq!(polls(Mock::at_once()), 1);
        assert_eq!(polls(Mock::on_the_second_poll()), 2);
    }

    #[tokio::test]
    async fn a_message_is_followed_by_trailers() {
        let mut mock = Mock::at_once();
        let response = mock.call(request::unary()).await.unwrap();
        assert!(!response.headers().contains_key("grpc-status"));
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
        assert!(!body.to_bytes().is_empty());
    }
}
