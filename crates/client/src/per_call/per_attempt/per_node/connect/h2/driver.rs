//! The task of one connection: it reads and writes the socket until nobody needs it any more.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use h2::Reason;

use super::{
    census::Counted,
    keepalive::Pinger,
    link::{Link, LinkState},
    open::Wire,
};

/// Ends when the last handle to the connection and its last stream are gone, when it breaks, or when the peer is found to have gone.
pub(super) struct Driver {
    wire: Wire,
    pinger: Option<Pinger>,
    state: Arc<LinkState>,
    /// It is among the connections that are open.
    _counted: Counted,
}

impl Driver {
    pub(super) fn new(wire: Wire, pinger: Option<Pinger>, link: &Link, counted: Counted) -> Self {
        Self {
            wire,
            pinger,
            state: link.state(),
            _counted: counted,
        }
    }

    /// What the peer has said may be for calls that come, and for those that wait: GOAWAY, SETTINGS.
    fn look_for_calls(&self) {
        self.state.allow(self.wire.max_concurrent_send_streams());
        let queue = self.state.queue();
        if queue.is_empty() {
            return;
        }
        if let Some(link) = self.state.link() {
            link.look();
            queue.serve();
        }
    }

    /// Ready when the peer is found to have gone.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(pinger) = &mut self.pinger else {
            return Poll::Pending;
        };
        pinger.hear(self.state.queue().complaints());
        let timeout = ready!(pinger.poll_gone(self.state.is_idle(), cx));
        let why = format!("no answer to a ping within {timeout:?}");
        self.state.give_up(why);
        Poll::Ready(())
    }

    fn ended(&self, end: Result<(), h2::Error>) {
        if end.is_err_and(|error| is_pinged_too_often(&error)) {
            let known = self.pinger.as_ref().map_or(0, Pinger::asked_by);
            self.state.queue().complain(known);
        }
    }
}

/// Whether the peer says so (gRFC A8). It may want calm for another reason, which has nothing to do with pings.
fn is_pinged_too_often(error: &h2::Error) -> bool {
    let wants_calm = error.is_go_away()
        && error.is_remote()
        && error.reason() == Some(Reason::ENHANCE_YOUR_CALM);
    // h2 tells the debug data in no other way.
    wants_calm && error.to_string().ends_with(r#"(b"too_many_pings")"#)
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if let Poll::Ready(end) = Pin::new(&mut this.wire).poll(cx) {
            this.ended(end);
            return Poll::Ready(());
        }
        this.look_for_calls();
        // Last, when all is read that has come: after a standstill of this process the time for an answer is over, and the answer there.
        this.poll_gone(cx)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.state.close();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use h2::client::Builder;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        time::advance,
    };
    use tokio_test::{assert_pending, task::Spawn};

    use super::{
        super::{census::Census, heard::Listening, keepalive::Keepalive},
        *,
    };

    const SECOND: Duration = Duration::from_secs(1);
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

    /// A connection that pings every second, and the other end of it.
    async fn pinging() -> (Spawn<Driver>, Arc<Link>, DuplexStream) {
        let (near, mut far) = duplex(1 << 16);
        far.write_all(&SETTINGS).await.unwrap();
        let (near, heard) = Listening::to(Box::new(near));
        let wire = Builder::new().handshake(near).await;
        let (requests, mut wire) = wire.unwrap();
        let settings = Keepalive {
            interval: SECOND,
            timeout: SECOND,
            while_idle: true,
        };
        let pinger = Pinger::new(settings, wire.ping_pong().unwrap(), heard, 0);
        let link = Link::new(requests, 1, &Arc::default(), &Arc::default());
        let driver = Driver::new(wire, Some(pinger), &link, Arc::<Census>::default().count());
        (tokio_test::task::spawn(driver), link, far)
    }

    /// Drives it until it has nothing to do.
    fn run(driver: &mut Spawn<Driver>) {
        assert_pending!(driver.poll());
        while driver.is_woken() {
            assert_pending!(driver.poll());
        }
    }

    /// Answers the ping that came last.
    fn answer(far: &mut DuplexStream) {
        let mut heard = Vec::new();
        while far.read_buf(&mut heard).now_or_never().is_some() {}
        let mut ping = heard.split_off(heard.len() - 17);
        assert_eq!((ping[3], ping[4]), (6, 0), "a ping");
        ping[4] = 1;
        far.write_all(&ping).now_or_never().unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_pong_counts_though_it_is_read_only_when_its_time_is_over() {
        let (mut driver, _link, mut far) = pinging().await;
        for _ in 0..3 {
            run(&mut driver);
            advance(SECOND).await;
            run(&mut driver);
            answer(&mut far);
            // As where the process was stopped.
            advance(2 * SECOND).await;
        }
    }
}
