//! A service that watches whether it is used as tower asks.
//!
//! `poll_ready` reserves, `call` spends, a clone starts with nothing. Many layers get it wrong by calling a fresh clone; this probe
//! answers such a call with an error that says so.

use std::{
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicIsize, Ordering},
    },
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_micro_call::{Error, Kind, ResponseBody};
use tower_service::Service;

/// Counts reservations. Answers with an empty body and `grpc-status: 0`.
#[derive(Debug)]
pub struct Probe {
    reserved: bool,
    outstanding: Arc<AtomicIsize>,
    /// How often `poll_ready` has to be asked before it is ready.
    pending: u32,
    asked: u32,
}

/// A call without a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeError;

impl From<ProbeError> for Error {
    fn from(_: ProbeError) -> Self {
        let text = "called before it was ready";
        Self::new(Kind::Other, tonic::Code::Internal, text)
    }
}

impl Probe {
    /// Ready at once.
    pub fn new() -> Self {
        Self::slow(0)
    }

    /// Ready after it was asked `pending` times in vain.
    pub fn slow(pending: u32) -> Self {
        Self {
            reserved: false,
            outstanding: Arc::default(),
            pending,
            asked: 0,
        }
    }

    /// A handle that counts reservations that were neither spent nor dropped.
    pub fn outstanding(&self) -> Arc<AtomicIsize> {
        Arc::clone(&self.outstanding)
    }

    fn release(&mut self) -> bool {
        let held = std::mem::take(&mut self.reserved);
        if held {
            self.outstanding.fetch_sub(1, Ordering::SeqCst);
        }
        held
    }
}

impl Default for Probe {
    fn default() -> Self {
        Self::new()
    }
}

impl Clone for Probe {
    fn clone(&self) -> Self {
        Self {
            reserved: false,
            outstanding: Arc::clone(&self.outstanding),
            pending: self.pending,
            asked: 0,
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.release();
    }
}

impl<B> Service<Request<B>> for Probe {
    type Response = Response<ResponseBody>;
    type Error = ProbeError;
    type Future = Ready<Result<Self::Response, ProbeError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ProbeError>> {
        if self.reserved {
            return Poll::Ready(Ok(()));
        }
        if self.asked < self.pending {
            self.asked += 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.asked = 0;
        self.reserved = true;
        self.outstanding.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        if !self.release() {
            return ready(Err(ProbeError));
        }
        let mut response = Response::new(ResponseBody::empty());
        let ok = http::HeaderValue::from_static("0");
        response.headers_mut().insert("grpc-status", ok);
        ready(Ok(response))
    }
}
