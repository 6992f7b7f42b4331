//! Ids in hexadecimal, as they stand in headers.

use opentelemetry::trace::{SpanId, TraceId};

/// Which letters are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    /// W3C forbids the others.
    Lower,
    /// The older formats do not say.
    Any,
}

/// `text`, of 1 to 32 digits, as a number. A sign, which `from_str_radix` would take, is no digit.
pub(super) fn number(text: &str, longest: usize, case: Case) -> Option<u128> {
    let is_digit = |byte: u8| match case {
        Case::Lower => byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'),
        Case::Any => byte.is_ascii_hexdigit(),
    };
    let is_hex = !text.is_empty() && text.len() <= longest && text.bytes().all(is_digit);
    is_hex.then(|| u128::from_str_radix(text, 16).ok())?
}

/// A trace id, unless it is zero.
pub(super) fn trace_id(text: &str, case: Case) -> Option<TraceId> {
    let id = number(text, 32, case).filter(|id| *id != 0)?;
    Some(TraceId::from_bytes(id.to_be_bytes()))
}

/// A span id, unless it is zero.
pub(super) fn span_id(text: &str, case: Case) -> Option<SpanId> {
    let id = u64::try_from(number(text, 16, case)?).ok()?;
    (id != 0).then(|| SpanId::from_bytes(id.to_be_bytes()))
}

/// Writes `bytes` into `text`, which is twice as long.
pub(super) fn write(bytes: &[u8], text: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, digits) in bytes.iter().zip(text.chunks_exact_mut(2)) {
        digits[0] = DIGITS[usize::from(byte >> 4)];
        digits[1] = DIGITS[usize::from(byte & 15)];
    }
}
