//! Connections that break when their server is killed.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::watch,
};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// A socket that lives as long as its server.
pub(crate) struct Mortal {
    socket: TcpStream,
    death: Pin<Box<dyn Future<Output = ()> + Send>>,
    dead: bool,
}

pub(crate) fn mortal(socket: TcpStream, mut alive: watch::Receiver<bool>) -> Mortal {
    // As tonic's own listener has it. A socket that cannot be told so has broken already.
    let _ = socket.set_nodelay(true);
    let death = Box::pin(async move {
        // The sender gone is as good as dead.
        let _ = alive.wait_for(|alive| !alive).await;
    });
    let dead = false;
    Mortal {
        socket,
        death,
        dead,
    }
}

impl Mortal {
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.dead = self.dead || self.death.as_mut().poll(cx).is_ready();
        if self.dead {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl Connected for Mortal {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.socket.connect_info()
    }
}

impl AsyncRead for Mortal {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Mortal {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.socket).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
