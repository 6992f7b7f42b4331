//! From nothing to a connection whose SETTINGS have come.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use tokio::time::timeout;
use tower_micro_registry::Node;

use super::{
    H2,
    driver::Driver,
    failure::{Failure, Stage},
    heard::{Heard, Listening},
    keepalive::Pinger,
    link::Link,
    queue::Queue,
    room::Room,
};

/// What a node may send as headers, in bytes; hyper's.
const MAX_HEADERS: u32 = 16 * 1024;
/// What is kept of a stream's requests until the peer has room; hyper's.
const SEND_BUFFER: usize = 1024 * 1024;
/// What small frames of DATA may cost until they are read, in h2's count: each as much as it is shorter than 256 bytes. Half of the
/// connection's window, which is h2's, is 10 000 messages that one caller leaves unread, and ends the calls of all others.
const SMALL_FRAMES: usize = 64 * 1024 * 1024;
/// The same for one byte of the connection's window, where that is larger than ours is.
const SMALL_FRAMES_A_BYTE: usize = 12;
/// How many streams that we have reset are remembered for a second, in which what still comes of them is passed over. h2's fifty are gone
/// at once where calls hedge, or time out together.
const REMEMBERED: usize = 1024;

pub(super) type Wire = Connection<Listening, Bytes>;

/// Opens a connection to `node` within `budget`.
pub(super) async fn open(
    connect: &H2,
    node: &Node,
    budget: Duration,
    room: &Arc<Room>,
    queue: &Arc<Queue>,
) -> Result<Arc<Link>, Failure> {
    let mut stage = Stage::Dialling(connect.dial.silence(node));
    let opening = handshake(connect, node, &mut stage);
    let Ok(opened) = timeout(budget, opening).await else {
        return Err(Failure::TooLate(budget, stage));
    };
    let (requests, mut wire, heard) = opened?;
    let max_streams = wire.max_concurrent_send_streams();
    let link = Link::new(requests, max_streams, room, queue);
    let pinger = connect.keepalive.zip(wire.ping_pong());
    let pinger =
        pinger.map(|(settings, pings)| Pinger::new(settings, pings, heard, queue.complaints()));
    let counted = connect.open.count();
    tokio::spawn(Driver::new(wire, pinger, &link, counted));
    Ok(link)
}

async fn handshake(
    connect: &H2,
    node: &Node,
    stage: &mut Stage,
) -> Result<(SendRequest<Bytes>, Wire, Heard), Failure> {
    let io = connect.dial.dial(node).await.map_err(Failure::Dial)?;
    #[cfg(feature = "tls")]
    let io = match &connect.tls {
        Some(tls) => {
            *stage = Stage::Tls;
            tls.secure(io).await?
        }
        None => io,
    };
    *stage = Stage::Settings;
    let (io, heard) = Listening::to(io);
    let opened = builder(connect).handshake(io).await;
    let (requests, mut wire) = opened.map_err(Failure::Broken)?;
    settings(&mut wire).await?;
    Ok((requests, wire, heard))
}

/// Nothing can be sent before SETTINGS have come: until then no stream is allowed, which is how their coming is seen.
fn builder(connect: &H2) -> Builder {
    let mut builder = Builder::new();
    builder
        .initial_max_send_streams(0)
        .initial_window_size(connect.stream_window)
        .initial_connection_window_size(connect.connection_window)
        .max_header_list_size(MAX_HEADERS)
        .max_send_buffer_size(SEND_BUFFER)
        .data_frame_budget(small_frames(connect.connection_window))
        .max_concurrent_reset_streams(REMEMBERED)
        // What comes of one that is forgotten is reset once more. A thousand of those in the life of a connection are no attack on a
        // client, which has asked for them all; a peer that reads no resets gets no more than one for each stream.
        .max_local_error_reset_streams(None)
        .enable_push(false);
    builder
}

/// So much that messages of some twenty bytes, and larger ones, fill the window first: that holds the peer up, and ends nothing.
fn small_frames(window: u32) -> usize {
    let window = usize::try_from(window).unwrap_or(usize::MAX);
    window.saturating_mul(SMALL_FRAMES_A_BYTE).max(SMALL_FRAMES)
}

/// Waits until the peer has sent SETTINGS that allow a stream.
async fn settings(wire: &mut Wire) -> Result<(), Failure> {
    poll_fn(|cx| {
        let end = Pin::new(&mut *wire).poll(cx);
        let is_open = wire.max_concurrent_send_streams() > 0;
        match end {
            Poll::Ready(Ok(())) if is_open => Poll::Ready(Err(Failure::ClosedAtOnce)),
            Poll::Ready(Ok(())) => Poll::Ready(Err(Failure::Closed)),
            Poll::Ready(Err(error)) if is_open => Poll::Ready(Err(Failure::BrokenAtOnce(error))),
            Poll::Ready(Err(error)) => Poll::Ready(Err(Failure::Broken(error))),
            Poll::Pending if is_open => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
