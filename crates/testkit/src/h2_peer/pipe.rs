//! A connection in memory, whose one end is the client's.

use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};

/// What fits between the two ends.
const SIZE: usize = 64 * 1024;

/// The client's end.
#[derive(Debug)]
pub(super) struct Pipe {
    stream: DuplexStream,
    broken: Broken,
}

/// How the connection breaks, if it is not to look like a close.
pub(super) type Broken = Arc<OnceLock<io::ErrorKind>>;

/// The peer's end.
#[derive(Debug)]
pub(super) struct Far {
    pub(super) stream: DuplexStream,
    /// Set before the end is dropped.
    pub(super) broken: Broken,
}

impl Pipe {
    pub(super) fn pair() -> (Self, Far) {
        let (near, far) = duplex(SIZE);
        let broken = Broken::default();
        let ours = Self {
            stream: near,
            broken: Arc::clone(&broken),
        };
        let stream = far;
        (ours, Far { stream, broken })
    }

    fn check(&self) -> io::Result<()> {
        match self.broken.get() {
            Some(kind) => Err((*kind).into()),
            None => Ok(()),
        }
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() == before {
            return Poll::Ready(self.check());
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
