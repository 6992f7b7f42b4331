//! The door: what a generated client is put around.

use std::{
    any::Any,
    fmt,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use http::{Request, Response};
use pin_project::pin_project;
use tokio::runtime::Handle;
use tonic::Code;
use tower_micro_call::{AnswerBody, Body, BoxFuture, Error, Kind, Notes, ResponseBody};
use tower_micro_registry::ServiceName;
use tower_service::Service;

use crate::{panic::words_of, wrap::erase::WrappedService};

type Answer = Result<Response<ResponseBody>, Error>;

/// A service, seen from a generated client. Made by [`Client::channel`](crate::Client::channel).
///
/// It does no I/O until it is called, and is always ready: a generated client turns an error of `poll_ready` into UNKNOWN, and what
/// waits there has no deadline. All waiting happens inside of the call. Dropping the call's future cancels everything it started. Calls
/// need a Tokio runtime, with time and I/O; see [`Client`](crate::Client#runtimes) for several.
pub struct Channel {
    stack: Result<Named, Error>,
}

/// A stack and the service it is for, which client wrappers may know, as go-micro's know `req.Service()`.
struct Named {
    service: ServiceName,
    stack: Box<dyn Stack>,
}

impl Channel {
    pub(crate) fn new(service: ServiceName, stack: impl WrappedService<Body>) -> Self {
        let stack: Box<dyn Stack> = Box::new(stack);
        let stack = Ok(Named { service, stack });
        Self { stack }
    }

    /// A channel on which every call ends with `error`.
    pub(crate) const fn refusing(error: Error) -> Self {
        Self { stack: Err(error) }
    }
}

impl Clone for Channel {
    fn clone(&self) -> Self {
        let stack = match &self.stack {
            Ok(named) => Ok(Named {
                service: named.service.clone(),
                stack: named.stack.boxed_clone(),
            }),
            Err(error) => Err(error.clone()),
        };
        Self { stack }
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("error", &self.stack.as_ref().err())
            .finish_non_exhaustive()
    }
}

impl Service<Request<tonic::body::Body>> for Channel {
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = BoxFuture<Answer>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        match &mut self.stack {
            Ok(named) => {
                let notes = Notes::of_service(named.service.clone());
                let request = request.map(|body| Body::noted(body.into(), notes));
                named.stack.start(request)
            }
            Err(error) => Box::pin(std::future::ready(Err(error.clone()))),
        }
    }
}

/// A stack whose type is forgotten. Its future is the one box of a call.
trait Stack: Send + Sync {
    fn start(&mut self, request: Request<Body>) -> BoxFuture<Answer>;

    fn boxed_clone(&self) -> Box<dyn Stack>;
}

impl<S: WrappedService<Body>> Stack for S {
    fn start(&mut self, request: Request<Body>) -> BoxFuture<Answer> {
        let started = catch_unwind(AssertUnwindSafe(|| started(self, request)));
        started.unwrap_or_else(|panic| {
            // What was made ready for the call is given back with it; one that cannot be cloned stays as it is.
            let _ = catch_unwind(AssertUnwindSafe(|| *self = self.clone()));
            Box::pin(std::future::ready(Err(panicked(&*panic))))
        })
    }

    fn boxed_clone(&self) -> Box<dyn Stack> {
        Box::new(self.clone())
    }
}

fn started<S: WrappedService<Body>>(stack: &mut S, request: Request<Body>) -> BoxFuture<Answer> {
    // Ours is always ready, so it is asked without a waker; a wrapper that is not is waited for inside of the call.
    match stack.poll_ready(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(())) => Box::pin(Guarded(stack.call(request))),
        Poll::Ready(Err(error)) => Box::pin(std::future::ready(Err(error.into()))),
        Poll::Pending => {
            let fresh = stack.clone();
            let waiting = std::mem::replace(stack, fresh);
            Box::pin(Guarded(when_ready(waiting, request)))
        }
    }
}

async fn when_ready<S: WrappedService<Body>>(mut stack: S, request: Request<Body>) -> Answer {
    poll_fn(|cx| stack.poll_ready(cx))
        .await
        .map_err(Into::into)?;
    stack.call(request).await.map_err(Into::into)
}

/// Turns a panic of a wrapper into an error. What the call holds is dropped with its future, as after any other end.
#[pin_project]
struct Guarded<F>(#[pin] F);

impl<F, E> Future for Guarded<F>
where
    F: Future<Output = Result<Response<ResponseBody>, E>>,
    E: Into<Error>,
{
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let call = self.project().0;
        match catch_unwind(AssertUnwindSafe(|| call.poll(cx))) {
            // What a wrapper answers with may be anything.
            Ok(answer) => answer.map_ok(AnswerBody::adopt).map_err(Into::into),
            Err(panic) => Poll::Ready(Err(panicked(&*panic))),
        }
    }
}

/// Timers and sockets panic where there is no runtime, which is no wrapper's fault.
fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = match Handle::try_current() {
        Ok(_) => format!("a wrapper panicked: {}", words_of(panic)),
        Err(_) => "no Tokio runtime is here: await the call inside of one".to_owned(),
    };
    Error::new(Kind::Panic, Code::Internal, text)
}
