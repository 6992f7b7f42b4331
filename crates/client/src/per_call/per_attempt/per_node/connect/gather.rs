//! Writes together what is written one after the other.
//!
//! hyper sends the head of a request to its connection, and its body when the connection has made room for it. In between the
//! connection writes what it has: for each batch of requests one write of heads, one of bodies, and a server that may be woken twice.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// More bytes than this are written as they come: as many as HTTP/2's frames have at most, unless a peer allows more (RFC 9113 §4.2).
const MUCH: usize = 16 * 1024;

/// Before it writes, it lets everybody run who is ready to.
#[derive(Debug)]
pub(super) struct Gather<T> {
    inner: T,
    gathered: Vec<u8>,
    /// How many of these have been written.
    written: usize,
    has_waited: bool,
}

impl<T: AsyncWrite + Unpin> Gather<T> {
    pub(super) const fn new(inner: T) -> Self {
        Self {
            inner,
            gathered: Vec::new(),
            written: 0,
            has_waited: false,
        }
    }

    fn has_room(&self, more: usize) -> bool {
        self.gathered.len() + more <= MUCH
    }

    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&mut T>> {
        while self.written < self.gathered.len() {
            let rest = &self.gathered[self.written..];
            match ready!(Pin::new(&mut self.inner).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        self.gathered.clear();
        self.written = 0;
        self.has_waited = false;
        Poll::Ready(Ok(&mut self.inner))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Gather<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.has_room(bytes.len()) {
            self.gathered.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        let inner = ready!(self.poll_write_out(cx))?;
        Pin::new(inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = slices.iter().map(|slice| slice.len()).sum();
        if self.has_room(length) {
            let gathered = &mut self.gathered;
            slices
                .iter()
                .for_each(|slice| gathered.extend_from_slice(slice));
            return Poll::Ready(Ok(length));
        }
        let inner = ready!(self.poll_write_out(cx))?;
        Pin::new(inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.gathered.is_empty() && !self.has_waited {
            self.has_waited = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let inner = ready!(self.poll_write_out(cx))?;
        Pin::new(inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let inner = ready!(self.poll_write_out(cx))?;
        Pin::new(inner).poll_shutdown(cx)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Gather<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, bytes)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio_test::{assert_pending, assert_ready_ok, task};

    use super::*;

    /// Remembers each write, of which it takes so many bytes.
    #[derive(Debug)]
    struct Wire {
        takes: usize,
        writes: Vec<Vec<u8>>,
        is_shut: bool,
    }

    impl AsyncWrite for Wire {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let taken = bytes.len().min(self.takes);
            self.writes.push(bytes[..taken].to_vec());
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.is_shut = true;
            Poll::Ready(Ok(()))
        }
    }

    fn gather(takes: usize) -> Gather<Wire> {
        Gather::new(Wire {
            takes,
            writes: Vec::new(),
            is_shut: false,
        })
    }

    #[tokio::test]
    async fn what_comes_while_others_run_is_written_together() {
        let mut gather = gather(usize::MAX);
        gather.write_all(b"heads ").await.unwrap();
        let mut flush = task::spawn(gather.flush());
        assert_pending!(flush.poll());
        assert!(flush.is_woken(), "it goes on when they have run");
        drop(flush);
        let slices = [IoSlice::new(b"and "), IoSlice::new(b"bodies")];
        assert_eq!(gather.write_vectored(&slices).await.unwrap(), 10);
        assert_ready_ok!(task::spawn(gather.flush()).poll());
        assert_eq!(gather.inner.writes, [b"heads and bodies"]);
    }

    #[tokio::test]
    async fn each_flush_lets_others_run_once_and_one_with_nothing_to_write_does_not() {
        let mut gather = gather(usize::MAX);
        for _ in 0..2 {
            gather.write_all(b"a").await.unwrap();
            assert_pending!(task::spawn(gather.flush()).poll());
            assert_ready_ok!(task::spawn(gather.flush()).poll());
            assert_ready_ok!(task::spawn(gather.flush()).poll());
        }
        assert_eq!(gather.inner.writes, [b"a", b"a"]);
    }

    #[tokio::test]
    async fn what_is_much_is_written_as_it_comes_and_behind_what_was_there() {
        let mut gather = gather(usize::MAX);
        gather.write_all(b"a").await.unwrap();
        gather.write_all(&[b'b'; MUCH]).await.unwrap();
        assert_eq!(gather.inner.writes, [b"a".to_vec(), vec![b'b'; MUCH]]);
        let much = [b'c'; MUCH];
        let slices = [IoSlice::new(&much), IoSlice::new(b"d")];
        assert_eq!(gather.write_vectored(&slices).await.unwrap(), MUCH);
        assert_eq!(gather.inner.writes.len(), 3);
    }

    #[tokio::test]
    async fn a_wire_that_takes_little_at_a_time_gets_all_in_order() {
        let mut gather = gather(2);
        gather.write_all(b"hello").await.unwrap();
        gather.flush().await.unwrap();
        assert_eq!(gather.inner.writes.concat(), b"hello");
    }

    #[tokio::test]
    async fn a_wire_that_takes_nothing_is_an_error() {
        let mut gather = gather(0);
        gather.write_all(b"hello").await.unwrap();
        let error = gather.flush().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    }

    #[tokio::test]
    async fn what_was_not_flushed_is_written_before_the_end() {
        let mut gather = gather(usize::MAX);
        gather.write_all(b"bye").await.unwrap();
        gather.shutdown().await.unwrap();
        assert_eq!(gather.inner.writes, [b"bye"]);
        assert!(gather.inner.is_shut);
    }
}
