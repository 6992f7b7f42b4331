//! The words that scripts are written in.

use std::{io::ErrorKind, time::Duration};

use super::frame::message;

/// Names and values of a header block, in the order they are sent.
type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// One thing a [`Peer`](super::Peer) does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Step {
    /// As the first step: there is nobody at the address.
    Refuse,
    /// As the first step: the dial never ends.
    Drop,
    /// Sends SETTINGS that change nothing, and acknowledges those of the client. From here on SETTINGS and PINGs are answered.
    Settings,
    /// The same, with `SETTINGS_MAX_CONCURRENT_STREAMS`.
    MaxStreams(u32),
    /// Waits for the headers of the next request.
    AwaitHeaders,
    /// Waits for the whole of the next request.
    AwaitRequest,
    /// Sends a header block that leaves the stream open.
    Headers(Fields),
    /// Sends DATA that leaves the stream open.
    Data(Vec<u8>),
    /// Sends a header block that ends the stream.
    Trailers(Fields),
    /// Ends the stream without trailers.
    End,
    /// Sends RST_STREAM.
    Reset(u32),
    /// Sends GOAWAY.
    Goaway {
        /// The last stream that was, or may be, acted on.
        last: u32,
        /// Why: see [`reason`](super::reason).
        reason: u32,
    },
    /// Sends PING.
    Ping,
    /// Sends WINDOW_UPDATE.
    WindowUpdate {
        /// The stream, or 0 for the connection.
        stream: u32,
        /// By how many bytes the window grows.
        by: u32,
    },
    /// Sends any frame, whatever the rules and windows say.
    Frame {
        /// The type.
        kind: u8,
        /// The flags.
        flags: u8,
        /// The stream.
        stream: u32,
        /// All that follows the header.
        payload: Vec<u8>,
    },
    /// Sends these bytes.
    Bytes(Vec<u8>),
    /// Answers no SETTINGS and no PING any more.
    Silence,
    /// Waits.
    Wait(Duration),
    /// Does these steps again and again, until the client has gone.
    ForEver(Vec<Step>),
    /// Does these steps again and again, until the client has reset the stream.
    UntilReset(Vec<Step>),
    /// Answers every request from here on with [`Step::greeting`].
    Serve,
    /// Closes the connection in good order.
    Close,
    /// Breaks the connection: the client reads `ConnectionReset`.
    Break,
    /// Breaks it in another way.
    BreakAs(ErrorKind),
}

fn fields<N: Into<Vec<u8>>, V: Into<Vec<u8>>>(fields: impl IntoIterator<Item = (N, V)>) -> Fields {
    let fields = fields.into_iter();
    fields
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

impl Step {
    /// [`Step::Headers`] with these fields.
    pub fn headers<N: Into<Vec<u8>>, V: Into<Vec<u8>>>(
        of: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        Self::Headers(fields(of))
    }

    /// [`Step::Trailers`] with these fields; with `:status` among them they are an answer of headers alone.
    pub fn trailers<N: Into<Vec<u8>>, V: Into<Vec<u8>>>(
        of: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        Self::Trailers(fields(of))
    }

    /// The headers that a gRPC answer begins with.
    pub fn answer() -> Self {
        Self::headers([(":status", "200"), ("content-type", "application/grpc")])
    }

    /// DATA with one message, whole and not compressed.
    pub fn message(bytes: &[u8]) -> Self {
        Self::Data(message(bytes))
    }

    /// DATA with a message whose first field is the text `Hello`.
    pub fn greeting() -> Self {
        Self::message(b"\x0a\x05Hello")
    }

    /// Trailers with this `grpc-status`.
    pub fn status(code: &str) -> Self {
        Self::trailers([("grpc-status", code)])
    }
}
