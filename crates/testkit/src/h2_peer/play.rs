//! The script that is played on a connection.

use std::{
    io,
    ops::ControlFlow::{self, Break, Continue},
    sync::Arc,
};

use tokio::{io::split, sync::watch};

use super::{
    Seen,
    frame::{self, END_STREAM, frame, headers, setting},
    heard::Stream,
    pipe::{Broken, Far},
    step::Step,
    wire::Wire,
};

/// Plays `script` until it closes the connection or the client does.
pub(super) async fn play(script: Arc<[Step]>, far: Far, seen: Arc<watch::Sender<Seen>>) {
    let (input, output) = split(far.stream);
    let wire = Wire::new(output, seen);
    let mut player = Player {
        wire: &wire,
        stream: 0,
        broken: &far.broken,
    };
    let playing = async {
        if player.all(&script).await.is_continue() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        // The client has gone: that is the end of any script.
        _ = wire.listen(input) => {}
        () = playing => {}
    }
}

/// Where a script has come to. `Break` is the end of the connection.
struct Player<'a> {
    wire: &'a Wire,
    /// The stream that was awaited last.
    stream: u32,
    broken: &'a Broken,
}

impl Player<'_> {
    async fn all(&mut self, steps: &[Step]) -> ControlFlow<()> {
        for step in steps {
            Box::pin(self.one(step)).await?;
        }
        Continue(())
    }

    async fn one(&mut self, step: &Step) -> ControlFlow<()> {
        let (wire, stream) = (self.wire, self.stream);
        match step {
            Step::Settings => going_on(wire.settle(&[]).await),
            Step::MaxStreams(count) => {
                let count = setting(frame::MAX_CONCURRENT_STREAMS, *count);
                going_on(wire.settle(&count).await)
            }
            Step::AwaitHeaders => self.next(|_| true, |_| true).await,
            Step::AwaitRequest => self.next(|_| true, |stream| stream.ended).await,
            Step::Headers(fields) => self.send(&headers(stream, fields, 0)).await,
            Step::Data(data) => going_on(wire.data(stream, data).await),
            Step::Trailers(fields) => self.send(&headers(stream, fields, END_STREAM)).await,
            Step::End => self.frame(frame::DATA, END_STREAM, stream, &[]).await,
            Step::Reset(reason) => {
                let reason = reason.to_be_bytes();
                self.frame(frame::RST_STREAM, 0, stream, &reason).await
            }
            Step::Goaway { last, reason } => {
                let payload = [last.to_be_bytes(), reason.to_be_bytes()].concat();
                self.frame(frame::GOAWAY, 0, 0, &payload).await
            }
            Step::Ping => self.frame(frame::PING, 0, 0, b"pingpong").await,
            Step::WindowUpdate { stream, by } => {
                let by = by.to_be_bytes();
                self.frame(frame::WINDOW_UPDATE, 0, *stream, &by).await
            }
            Step::Frame {
                kind,
                flags,
                stream,
                payload,
            } => self.frame(*kind, *flags, *stream, payload).await,
            Step::Bytes(bytes) => self.send(bytes).await,
            Step::Silence => {
                wire.fall_silent();
                Continue(())
            }
            Step::Wait(time) => {
                tokio::time::sleep(*time).await;
                Continue(())
            }
            Step::ForEver(steps) => self.again(steps, || false).await,
            Step::UntilReset(steps) => self.again(steps, || wire.is_over(stream)).await,
            Step::Serve => self.serve().await,
            Step::Break => self.breaks(io::ErrorKind::ConnectionReset),
            Step::BreakAs(kind) => self.breaks(*kind),
            Step::Refuse | Step::Drop | Step::Close => Break(()),
        }
    }

    fn breaks(&self, kind: io::ErrorKind) -> ControlFlow<()> {
        // The first way is the way.
        let _ = self.broken.set(kind);
        Break(())
    }

    async fn send(&self, bytes: &[u8]) -> ControlFlow<()> {
        going_on(self.wire.send(bytes).await)
    }

    async fn frame(&self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> ControlFlow<()> {
        self.send(&frame(kind, flags, stream, payload)).await
    }

    /// Waits for the first that is `wanted` of the requests after the one that was awaited last, until there is `enough` of it.
    async fn next(
        &mut self,
        wanted: impl Fn(&Stream) -> bool,
        enough: impl Fn(&Stream) -> bool,
    ) -> ControlFlow<()> {
        let after = self.stream + 1;
        let next = self.wire.until(|heard| {
            let mut later = heard.streams.range(after..);
            let (id, stream) = later.find(|(_, stream)| wanted(stream))?;
            enough(stream).then_some(*id)
        });
        self.stream = next.await;
        Continue(())
    }

    async fn again(&mut self, steps: &[Step], enough: impl Fn() -> bool) -> ControlFlow<()> {
        while !enough() {
            self.all(steps).await?;
            tokio::task::yield_now().await;
        }
        Continue(())
    }

    /// Of a request that the client has let go of before it was whole, no more comes.
    async fn serve(&mut self) -> ControlFlow<()> {
        let greets = [Step::answer(), Step::greeting(), Step::status("0")];
        loop {
            let wanted = |stream: &Stream| stream.ended || !stream.reset;
            self.next(wanted, |stream| stream.ended).await?;
            self.all(&greets).await?;
            tokio::task::yield_now().await;
        }
    }
}

/// A client that has gone ends the script.
fn going_on(sent: io::Result<()>) -> ControlFlow<()> {
    sent.map_or(Break(()), Continue)
}
