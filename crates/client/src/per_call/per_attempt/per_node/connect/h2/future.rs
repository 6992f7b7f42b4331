//! A request, from the moment it needs a connection to its answer's headers.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Request, Response};
use tokio::time::Instant;
use tower_micro_call::{
    Body, Disposition, Error, Expiry, Notes, ResponseBody, header, timeout::grpc_timeout,
};
use tower_micro_selector::Picker;

use super::{
    dialling::Dialling,
    exchange::Exchange,
    failure::{Failure, failed},
    link::{Link, Start},
    queue::{Place, Turn},
    slot::Slot,
};

/// How often one attempt waits for a connection, if each ends before it takes the request. Past that, retry decides.
const MAX_DIALS: u8 = 2;

/// A request under way.
pub struct ResponseFuture(Phase);

enum Phase {
    Refused(Option<Error>),
    Connecting(Box<Connecting>),
    /// The peer allows no more streams at the moment.
    Queueing(Box<Queueing>),
    Exchanging(Exchange),
}

/// A request without a connection.
struct Connecting {
    way: Way,
    since: Instant,
    dialling: Dialling,
    patience: Option<Patience>,
    request: Option<Request<Body>>,
}

/// A request that waits for a stream.
struct Queueing {
    way: Way,
    since: Instant,
    /// Its own connection. Whichever has a stream first is as good.
    link: Arc<Link>,
    /// The next one, once that has closed.
    dialling: Option<Dialling>,
    patience: Option<Patience>,
    place: Place,
    request: Option<Request<Body>>,
}

/// Where a request is to go, and how often it has waited for a connection.
#[derive(Clone)]
struct Way {
    slot: Arc<Slot>,
    dials: u8,
}

/// How long an attempt waits for a connection where the next can go to another node, whatever the method: nothing has been sent.
struct Patience {
    time: Duration,
    expiry: Pin<Box<Expiry>>,
}

impl Patience {
    /// That of an attempt which others may follow: its share of the call's time, or all it has if that is less.
    fn of(notes: &Notes) -> Option<Self> {
        let (share, own) = (notes.share()?, notes.attempt().timeout);
        let time = own.map_or(share, |own| own.min(share));
        let time = time.max(Duration::from_millis(1));
        let expiry = Box::pin(Expiry::after(time));
        Some(Self { time, expiry })
    }

    /// Ready when it is over, with what the attempt ends with. The dial goes on, for this call or for those that follow.
    fn poll(
        &mut self,
        slot: &Slot,
        dialling: &Dialling,
        request: Option<&Request<Body>>,
        cx: &mut Context<'_>,
    ) -> Poll<Error> {
        loop {
            ready!(self.expiry.as_mut().poll(cx));
            slot.keep(dialling);
            // Where nothing is connected it would wait there too.
            if slot.has_company() && may_go_elsewhere(request) {
                return Poll::Ready(failed(&Arc::new(Failure::Elsewhere(self.time))));
            }
            self.expiry = Box::pin(Expiry::after(self.time));
        }
    }
}

impl ResponseFuture {
    pub(super) fn new(slot: &Arc<Slot>, request: Request<Body>) -> Self {
        let way = || Way {
            slot: Arc::clone(slot),
            dials: 0,
        };
        let Some(link) = slot.link() else {
            return Self(way().connect(request));
        };
        Self(match link.start(slot.origin(), request) {
            Start::Sent(exchange) => Phase::Exchanging(exchange),
            other => way().go_on(&link.get(), other),
        })
    }
}

impl Way {
    const fn may_connect(&self) -> bool {
        self.dials < MAX_DIALS
    }

    /// Whether a dial that has failed says nothing of the node, and another one may.
    const fn may_connect_after(&self, failure: &Failure) -> bool {
        matches!(failure, Failure::Homeless) && self.may_connect()
    }

    /// The dial under way, or the next one.
    fn dial(&mut self, request: &Request<Body>) -> Result<Dialling, Error> {
        self.dials += 1;
        let options = Notes::of(request).and_then(Notes::options);
        let timeout = options.and_then(|options| options.get_connect_timeout());
        self.slot.dial(timeout)
    }

    fn connect(mut self, request: Request<Body>) -> Phase {
        match self.dial(&request) {
            Ok(dialling) => {
                let patience = Notes::of(&request).and_then(Patience::of);
                Phase::Connecting(Box::new(Connecting {
                    way: self,
                    since: Instant::now(),
                    dialling,
                    patience,
                    request: Some(request),
                }))
            }
            Err(error) => Phase::Refused(Some(error)),
        }
    }

    fn send(self, link: &Arc<Link>, request: Request<Body>) -> Phase {
        let start = link.start(self.slot.origin(), request);
        self.go_on(link, start)
    }

    fn go_on(self, link: &Arc<Link>, start: Start) -> Phase {
        match start {
            Start::Sent(exchange) => Phase::Exchanging(exchange),
            Start::Refused(error) => Phase::Refused(Some(error)),
            Start::Full(request) => Phase::Queueing(Box::new(self.wait(link, request))),
            Start::Closed(request, _) if self.may_connect() => self.connect(request),
            Start::Closed(_, cause) => {
                let error = Error::transport(cause).with_disposition(Disposition::NeverSent);
                Phase::Refused(Some(error))
            }
        }
    }

    fn wait(self, link: &Arc<Link>, request: Request<Body>) -> Queueing {
        Queueing {
            place: self.slot.queue().join(),
            way: self,
            since: Instant::now(),
            link: Arc::clone(link),
            dialling: None,
            patience: None,
            request: Some(request),
        }
    }
}

impl Connecting {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Phase> {
        let Poll::Ready(dialled) = Pin::new(&mut self.dialling).poll(cx) else {
            return self.poll_patience(cx);
        };
        let request = self.request.take().expect("kept until it is sent");
        let request = having_waited(request, self.since);
        Poll::Ready(match dialled {
            Ok(link) => self.way.clone().send(&link, request),
            Err(failure) if self.way.may_connect_after(&failure) => {
                self.way.clone().connect(request)
            }
            Err(failure) => Phase::Refused(Some(failed(&failure))),
        })
    }

    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<Phase> {
        let Some(patience) = &mut self.patience else {
            return Poll::Pending;
        };
        let over = patience.poll(&self.way.slot, &self.dialling, self.request.as_ref(), cx);
        over.map(|error| Phase::Refused(Some(error)))
    }
}

/// A request that has waited since then: its node has less time than it was to be told.
fn having_waited(mut request: Request<Body>, since: Instant) -> Request<Body> {
    let headers = request.headers_mut();
    let told = headers.get(&header::GRPC_TIMEOUT).map(grpc_timeout::parse);
    if let Some(Ok(told)) = told {
        let left = told.saturating_sub(since.elapsed());
        // None at all is never told, and ends the call on this side.
        let mut left = grpc_timeout::format(left.max(Duration::from_nanos(1)));
        // It comes once, and stays out of the connection's table.
        left.set_sensitive(true);
        headers.insert(header::GRPC_TIMEOUT, left);
    }
    request
}

fn may_go_elsewhere(request: Option<&Request<Body>>) -> bool {
    let notes = request.and_then(Notes::of);
    let picker = notes.and_then(Notes::picker);
    picker.is_some_and(Picker::has_untried)
}

impl Queueing {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Phase> {
        loop {
            if let Poll::Ready(Turn { link, ticket }) = self.place.poll(cx) {
                let (way, request) = self.leave();
                let start = link.start_next(way.slot.origin(), request, ticket);
                return Poll::Ready(way.go_on(&link, start));
            }
            if self.link.is_open() {
                return Poll::Pending;
            }
            if self.dialling.is_none() && !self.way.may_connect() {
                return self.unless_served(Self::give_up);
            }
            match ready!(self.poll_again(cx)) {
                Ok(link) => self.link = link,
                Err(error) => return self.unless_served(|_| Phase::Refused(Some(error))),
            }
        }
    }

    /// Its own connection, opened again. It keeps its place meanwhile.
    fn poll_again(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arc<Link>, Error>> {
        let request = self.request.as_ref();
        let dialling = match &mut self.dialling {
            Some(dialling) => dialling,
            None => {
                let request = request.expect("kept until it is sent");
                let dialling = self.way.dial(request)?;
                self.patience = Notes::of(request).and_then(Patience::of);
                self.dialling.insert(dialling)
            }
        };
        let Poll::Ready(dialled) = Pin::new(&mut *dialling).poll(cx) else {
            let Some(patience) = &mut self.patience else {
                return Poll::Pending;
            };
            return patience
                .poll(&self.way.slot, dialling, request, cx)
                .map(Err);
        };
        self.dialling = None;
        match dialled {
            Err(failure) if self.way.may_connect_after(&failure) => self.poll_again(cx),
            dialled => Poll::Ready(dialled.map_err(|failure| failed(&failure))),
        }
    }

    /// It goes on waiting as long as the node has another connection.
    fn unless_served(&mut self, end: impl FnOnce(&mut Self) -> Phase) -> Poll<Phase> {
        if self.way.slot.queue().is_served() {
            return Poll::Pending;
        }
        Poll::Ready(end(self))
    }

    /// What follows is for the connection that has closed to say.
    fn give_up(&mut self) -> Phase {
        let (way, request) = self.leave();
        let start = self.link.start_now(way.slot.origin(), request);
        way.go_on(&self.link, start)
    }

    fn leave(&mut self) -> (Way, Request<Body>) {
        let request = self.request.take().expect("kept until it is sent");
        (self.way.clone(), having_waited(request, self.since))
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            self.0 = match &mut self.0 {
                Phase::Exchanging(exchange) => return exchange.poll(cx),
                Phase::Connecting(connecting) => ready!(connecting.poll(cx)),
                Phase::Queueing(queueing) => ready!(queueing.poll(cx)),
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
            Phase::Queueing(_) => "queueing",
            Phase::Exchanging(_) => "exchanging",
        };
        write!(f, "ResponseFuture({phase})")
    }
}

#[cfg(test)]
mod tests {
    use std::{future::ready, io, sync::Mutex, task::Waker};

    use http::HeaderValue;
    use tokio::{
        io::{AsyncWriteExt, DuplexStream, duplex},
        time::sleep,
    };
    use tower_micro_registry::Node;

    use super::{
        super::{H2, origin::Origin},
        *,
    };

    /// A place whose connection is the returned pipe.
    fn slot() -> (Arc<Slot>, DuplexStream) {
        let (near, peer) = duplex(1 << 16);
        let near = Mutex::new(Some(near));
        let connect = H2::new().dial(move |_: &Node| {
            let near = near.lock().unwrap().take();
            ready(near.ok_or(io::ErrorKind::ConnectionRefused.into()))
        });
        let origin = Origin::new(false, "a:1".parse().unwrap(), HeaderValue::from_static("a"));
        let node = Node::new("a", "a:1");
        let slot = Slot::new(connect, node, origin, Duration::MAX, &Arc::default());
        (slot, peer)
    }

    /// SETTINGS with MAX_CONCURRENT_STREAMS.
    fn allowing(streams: u32) -> Vec<u8> {
        let head = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3];
        [&head[..], &streams.to_be_bytes()].concat()
    }

    #[tokio::test(start_paused = true)]
    async fn streams_that_are_allowed_just_before_one_waits_are_not_waited_for() {
        let (slot, mut peer) = slot();
        peer.write_all(&allowing(1)).await.unwrap();
        Arc::clone(&slot).opened().await.unwrap();
        let link = slot.link().unwrap().get();
        let _busy = link.start(slot.origin(), Request::default());
        let full = link.start(slot.origin(), Request::default());
        assert!(matches!(full, Start::Full(_)));
        peer.write_all(&allowing(2)).await.unwrap();
        // The connection reads it meanwhile.
        sleep(Duration::from_secs(1)).await;
        let mut call = ResponseFuture(Way { slot, dials: 0 }.go_on(&link, full));
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut call).poll(&mut context).is_pending());
        assert_eq!(format!("{call:?}"), "ResponseFuture(exchanging)");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_goes_with_its_settings_is_not_said_to_have_sent_none() {
        const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for reason in [0, 2] {
            let (slot, mut peer) = slot();
            let mut goaway = GOAWAY;
            goaway[16] = reason;
            let both = [allowing(1), goaway.to_vec()].concat();
            peer.write_all(&both).await.unwrap();
            let error = slot.opened().await.unwrap_err().to_string();
            assert!(error.contains("as soon as it was open"), "{error}");
        }
    }
}
