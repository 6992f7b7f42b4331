//! Frames and header blocks, written by hand (RFC 9113 §4 and §6, RFC 7541 §6.2.2).

/// The reasons of RST_STREAM and GOAWAY (RFC 9113 §7).
pub mod reason {
    /// Nothing is wrong.
    pub const NO_ERROR: u32 = 0x0;
    /// The other side broke the protocol.
    pub const PROTOCOL_ERROR: u32 = 0x1;
    /// Something is wrong on this side.
    pub const INTERNAL_ERROR: u32 = 0x2;
    /// More was sent than the window allows.
    pub const FLOW_CONTROL_ERROR: u32 = 0x3;
    /// A frame of a length it cannot have.
    pub const FRAME_SIZE_ERROR: u32 = 0x6;
    /// The stream was not acted on.
    pub const REFUSED_STREAM: u32 = 0x7;
    /// The stream is not wanted any more.
    pub const CANCEL: u32 = 0x8;
    /// A header block that cannot be read.
    pub const COMPRESSION_ERROR: u32 = 0x9;
    /// The other side asks too much.
    pub const ENHANCE_YOUR_CALM: u32 = 0xb;
}

/// What a client begins with, before its first frame.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The largest payload that needs no leave.
pub(super) const LARGEST: usize = 16_384;
/// The window of a connection, and of a stream unless SETTINGS say otherwise.
pub(super) const WINDOW: i64 = 65_535;

pub(super) const DATA: u8 = 0x0;
pub(super) const HEADERS: u8 = 0x1;
pub(super) const RST_STREAM: u8 = 0x3;
pub(super) const SETTINGS: u8 = 0x4;
pub(super) const PING: u8 = 0x6;
pub(super) const GOAWAY: u8 = 0x7;
pub(super) const WINDOW_UPDATE: u8 = 0x8;
pub(super) const CONTINUATION: u8 = 0x9;

pub(super) const ACK: u8 = 0x1;
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;

pub(super) const MAX_CONCURRENT_STREAMS: u16 = 0x3;
pub(super) const INITIAL_WINDOW_SIZE: u16 = 0x4;

/// The nine bytes before a payload.
pub(super) struct Header {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Header {
    pub(super) fn read(bytes: [u8; 9]) -> Self {
        let [a, b, c, kind, flags, stream @ ..] = bytes;
        Self {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & !(1 << 31),
        }
    }

    pub(super) const fn ends_stream(&self) -> bool {
        matches!(self.kind, HEADERS | DATA) && self.flags & END_STREAM != 0
    }

    pub(super) const fn is_ack(&self) -> bool {
        self.flags & ACK != 0
    }
}

/// A frame, whole.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("scripts are small");
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header block in as many frames as it takes.
pub(super) fn headers(stream: u32, fields: &[(Vec<u8>, Vec<u8>)], flags: u8) -> Vec<u8> {
    let block = block(fields);
    let count = block.len().div_ceil(LARGEST).max(1);
    let mut frames = Vec::new();
    for number in 0..count {
        let part = &block[number * LARGEST..block.len().min((number + 1) * LARGEST)];
        let (kind, flags) = match number {
            0 => (HEADERS, flags),
            _ => (CONTINUATION, 0),
        };
        let last = if number + 1 == count { END_HEADERS } else { 0 };
        frames.extend(frame(kind, flags | last, stream, part));
    }
    frames
}

/// Literal fields that leave the table of the other side as it is.
fn block(fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        string(&mut block, name);
        string(&mut block, value);
    }
    block
}

fn string(block: &mut Vec<u8>, text: &[u8]) {
    length(block, text.len());
    block.extend(text);
}

/// An integer with a prefix of seven bits (RFC 7541 §5.1).
fn length(block: &mut Vec<u8>, length: usize) {
    const FULL: usize = 0x7f;
    let Some(mut rest) = length.checked_sub(FULL) else {
        return block.push(length as u8);
    };
    block.push(FULL as u8);
    while rest >= 0x80 {
        block.push((rest % 0x80) as u8 | 0x80);
        rest /= 0x80;
    }
    block.push(rest as u8);
}

/// A gRPC message that is not compressed.
pub(super) fn message(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("scripts are small");
    let mut message = vec![0];
    message.extend(length.to_be_bytes());
    message.extend(bytes);
    message
}

/// What the first four bytes say; 0 if there are fewer.
pub(super) fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().copied().map_or(0, u32::from_be_bytes)
}

/// One entry of SETTINGS.
pub(super) fn setting(name: u16, value: u32) -> Vec<u8> {
    let mut setting = name.to_be_bytes().to_vec();
    setting.extend(value.to_be_bytes());
    setting
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_length_spills_over_its_prefix() {
        let written = |number| {
            let mut block = Vec::new();
            length(&mut block, number);
            block
        };
        assert_eq!(written(10), [10]);
        assert_eq!(written(127), [127, 0]);
        assert_eq!(written(1337), [127, 0b1011_1010, 0b0000_1001]);
    }

    #[test]
    fn a_header_block_that_is_too_long_for_a_frame_is_continued() {
        let fields = [(b"x".to_vec(), vec![b'a'; LARGEST])];
        let frames = headers(1, &fields, END_STREAM);
        let first = Header::read(frames[..9].try_into().unwrap());
        assert_eq!((first.kind, first.flags), (HEADERS, END_STREAM));
        let second = Header::read(frames[9 + LARGEST..][..9].try_into().unwrap());
        assert_eq!((second.kind, second.flags), (CONTINUATION, END_HEADERS));
        assert_eq!(frames.len(), 9 + LARGEST + 9 + second.length);
    }
}
