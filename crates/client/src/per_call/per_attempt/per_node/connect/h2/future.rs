//! A request, from the moment it needs a connection to its answer's headers.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use tower_micro_call::{Body, Disposition, Error, ResponseBody};

use super::{
    exchange::Exchange,
    link::Unsent,
    slot::{Dialling, Slot},
};

/// How often one attempt waits for a connection, if each ends before it takes the request. Past that, retry decides.
const MAX_DIALS: u8 = 2;

/// A request under way.
pub struct ResponseFuture(Phase);

enum Phase {
    Refused(Option<Error>),
    Connecting(Box<Connecting>),
    Exchanging(Exchange),
}

struct Connecting {
    slot: Arc<Slot>,
    dialling: Dialling,
    request: Option<Request<Body>>,
    dials: u8,
}

impl ResponseFuture {
    pub(super) fn new(slot: &Arc<Slot>, request: Request<Body>) -> Self {
        let Some(link) = slot.link() else {
            return Self(connecting(Arc::clone(slot), request, 1));
        };
        Self(match link.start(slot.origin(), request) {
            Ok(started) => started.into(),
            Err(unsent) => connecting(Arc::clone(slot), unsent.request, 1),
        })
    }
}

fn connecting(slot: Arc<Slot>, request: Request<Body>, dials: u8) -> Phase {
    match slot.dial() {
        Ok(dialling) => Phase::Connecting(Box::new(Connecting {
            slot,
            dialling,
            request: Some(request),
            dials,
        })),
        Err(error) => Phase::Refused(Some(error)),
    }
}

impl Connecting {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Phase> {
        let link = match ready!(Pin::new(&mut self.dialling).poll(cx)) {
            Ok(link) => link,
            Err(failure) => {
                return Poll::Ready(Phase::Refused(Some(super::failure::failed(&failure))));
            }
        };
        let request = self.request.take().expect("kept until it is sent");
        Poll::Ready(match link.start(self.slot.origin(), request) {
            Ok(started) => started.into(),
            Err(unsent) if self.dials < MAX_DIALS => {
                connecting(Arc::clone(&self.slot), unsent.request, self.dials + 1)
            }
            Err(unsent) => Phase::Refused(Some(never_sent(*unsent))),
        })
    }
}

fn never_sent(unsent: Unsent) -> Error {
    Error::transport(unsent.cause).with_disposition(Disposition::NeverSent)
}

impl From<Result<Exchange, Error>> for Phase {
    fn from(started: Result<Exchange, Error>) -> Self {
        match started {
            Ok(exchange) => Self::Exchanging(exchange),
            Err(error) => Self::Refused(Some(error)),
        }
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            self.0 = match &mut self.0 {
                Phase::Exchanging(exchange) => return exchange.poll(cx),
                Phase::Connecting(connecting) => ready!(connecting.poll(cx)),
                Phase::Refused(error) => {
                    return Poll::Ready(Err(error.take().expect("polled after it was ready")));
                }
            };
        }
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match self.0 {
            Phase::Refused(_) => "refused",
            Phase::Connecting(_) => "connecting",
            Phase::Exchanging(_) => "exchanging",
        };
        write!(f, "ResponseFuture({phase})")
    }
}
