//! Both directions of one connection.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf},
    sync::{Mutex, watch},
};

use super::{
    Seen,
    frame::{self, Header, frame},
    heard::{Heard, Stream},
};

/// What a script writes to, and what it can ask for.
pub(super) struct Wire {
    output: Mutex<WriteHalf<DuplexStream>>,
    heard: watch::Sender<Heard>,
    /// Whether SETTINGS and PINGs are answered.
    answers: AtomicBool,
    seen: Arc<watch::Sender<Seen>>,
}

impl Wire {
    pub(super) fn new(output: WriteHalf<DuplexStream>, seen: Arc<watch::Sender<Seen>>) -> Self {
        Self {
            output: Mutex::new(output),
            heard: watch::Sender::default(),
            answers: AtomicBool::new(false),
            seen,
        }
    }

    /// Reads until the client has gone.
    pub(super) async fn listen(&self, mut input: ReadHalf<DuplexStream>) -> io::Result<()> {
        let mut preface = [0; frame::PREFACE.len()];
        input.read_exact(&mut preface).await?;
        if preface != frame::PREFACE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        loop {
            let mut header = [0; 9];
            input.read_exact(&mut header).await?;
            let header = Header::read(header);
            let mut payload = vec![0; header.length];
            input.read_exact(&mut payload).await?;
            self.hear(&header, &payload).await?;
        }
    }

    async fn hear(&self, header: &Header, payload: &[u8]) -> io::Result<()> {
        let stream = header.stream;
        match header.kind {
            frame::HEADERS => {
                self.heard.send_modify(|heard| heard.begin(stream));
                self.seen.send_modify(|seen| seen.requests += 1);
            }
            frame::RST_STREAM => {
                self.note(stream, |stream| stream.reset = true);
                self.seen.send_modify(|seen| seen.resets += 1);
            }
            frame::SETTINGS if !header.is_ack() => {
                self.heard.send_modify(|heard| heard.set(payload));
                self.answer(frame::SETTINGS, &[]).await?;
            }
            frame::PING if !header.is_ack() => self.answer(frame::PING, payload).await?,
            frame::GOAWAY => {
                let reason = payload.get(4..).map(frame::number);
                self.seen.send_modify(|seen| seen.gave_up = reason);
            }
            frame::WINDOW_UPDATE => {
                let by = frame::number(payload);
                self.heard.send_modify(|heard| heard.widen(stream, by));
            }
            _ => {}
        }
        if header.ends_stream() {
            self.note(stream, |stream| stream.ended = true);
        }
        Ok(())
    }

    fn note(&self, id: u32, change: impl FnOnce(&mut Stream)) {
        self.heard.send_modify(|heard| {
            if let Some(stream) = heard.streams.get_mut(&id) {
                change(stream);
            }
        });
    }

    async fn answer(&self, kind: u8, payload: &[u8]) -> io::Result<()> {
        if !self.answers.load(SeqCst) {
            return Ok(());
        }
        self.send(&frame(kind, frame::ACK, 0, payload)).await
    }

    /// Answers nothing any more.
    pub(super) fn fall_silent(&self) {
        self.answers.store(false, SeqCst);
    }

    pub(super) async fn send(&self, bytes: &[u8]) -> io::Result<()> {
        self.output.lock().await.write_all(bytes).await
    }

    /// Waits until the client has said what `enough` looks for.
    pub(super) async fn until<T>(&self, mut enough: impl FnMut(&Heard) -> Option<T>) -> T {
        let mut watch = self.heard.subscribe();
        let mut found = None;
        let heard = watch.wait_for(|heard| {
            found = enough(heard);
            found.is_some()
        });
        drop(heard.await.expect("the sender is a field of this"));
        found.expect("waited for")
    }

    pub(super) fn is_over(&self, stream: u32) -> bool {
        self.heard.borrow().room(stream).is_none()
    }

    /// Sends SETTINGS, and acknowledges the client's.
    pub(super) async fn settle(&self, settings: &[u8]) -> io::Result<()> {
        self.send(&frame(frame::SETTINGS, 0, 0, settings)).await?;
        self.until(|heard| heard.settings.then_some(())).await;
        self.answers.store(true, SeqCst);
        self.answer(frame::SETTINGS, &[]).await
    }

    /// Sends `data` as fast as the windows allow, or as much of it as the client wants.
    pub(super) async fn data(&self, stream: u32, mut data: &[u8]) -> io::Result<()> {
        loop {
            let Some(room) = self.room(stream, data.is_empty()).await else {
                return Ok(());
            };
            let (part, rest) = data.split_at(data.len().min(room).min(frame::LARGEST));
            self.heard
                .send_modify(|heard| heard.spend(stream, part.len()));
            self.send(&frame(frame::DATA, 0, stream, part)).await?;
            data = rest;
            if data.is_empty() {
                return Ok(());
            }
        }
    }

    /// Waits for room on a stream; `None` if it is over.
    async fn room(&self, stream: u32, none_will_do: bool) -> Option<usize> {
        let room = |heard: &Heard| match heard.room(stream) {
            Some(0) if !none_will_do => None,
            room => Some(room),
        };
        self.until(room).await
    }
}
