//! How long a peer may take, as the two headers say it: gRPC's `grpc-timeout` and go-micro's `timeout`.
//!
//! # What the caller sees
//! [`grpc_timeout`] writes and reads the header of the gRPC specification. [`format_nanoseconds`] and
//! [`parse_nanoseconds`] do the same for go-micro's own header, which its servers obey besides.
//!
//! # Units and defaults
//! `grpc-timeout` is 1 to 8 digits and a unit (`n`, `u`, `m` for parts of a second, `S`, `M`, `H`); `timeout` is a
//! whole number of nanoseconds. Neither has a default: no header, no limit. A call with no time left must end before
//! it is sent, so neither header is ever sent with 0: go-micro's server would give the handler a context that has
//! expired already.
//!
//! # Errors
//! [`InvalidTimeout`], which shows the value and says what was expected. What to do with it is the reader's choice;
//! go-micro's server ignores such a header.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//! use tower_micro_call::timeout::{format_nanoseconds, grpc_timeout};
//!
//! let left = Duration::from_millis(4_999);
//! assert_eq!(grpc_timeout::format(left), "4999000u");
//! assert_eq!(format_nanoseconds(left), "4999000000");
//! assert_eq!(grpc_timeout::parse(&grpc_timeout::format(left))?, left);
//! # Ok::<(), tower_micro_call::timeout::InvalidTimeout>(())
//! ```
//!
//! # Not here
//! The clock: a point in time becomes a length of time where the attempt is made.

use std::time::Duration;

use http::HeaderValue;
use thiserror::Error;

/// A timeout header that says nothing: it is malformed or too large.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("timeout {value:?} is not {expected}")]
pub struct InvalidTimeout {
    value: HeaderValue,
    expected: &'static str,
}

/// gRPC's `grpc-timeout` (gRPC PROTOCOL-HTTP2, "Timeout").
pub mod grpc_timeout {
    use super::{Duration, HeaderValue, InvalidTimeout, digits};

    const MAX_COUNT: u64 = 99_999_999;
    const MAX_DIGITS: usize = 8;

    /// The units, finest first, each with its nanoseconds.
    const UNITS: [(u8, u64); 6] = [
        (b'n', 1),
        (b'u', 1_000),
        (b'm', 1_000_000),
        (b'S', 1_000_000_000),
        (b'M', 60_000_000_000),
        (b'H', 3_600_000_000_000),
    ];

    /// Writes `timeout` in the finest unit in which it has at most 8 digits, rounded up: a peer never gives up before
    /// its caller does.
    ///
    /// Zero becomes `0n`, which no caller sends: see the [module docs](super). What is longer than 99 999 999 hours
    /// (11 000 years) becomes that.
    pub fn format(timeout: Duration) -> HeaderValue {
        // What is longer than 2^64 ns, 584 years, is told in hours.
        let (count, unit) = match u64::try_from(timeout.as_nanos()) {
            Ok(nanoseconds) => finest(nanoseconds),
            Err(_) => (hours(timeout), b'H'),
        };
        header(count.min(MAX_COUNT), unit)
    }

    fn hours(timeout: Duration) -> u64 {
        let begun = u64::from(timeout.subsec_nanos() > 0);
        timeout.as_secs().saturating_add(begun).div_ceil(3_600)
    }

    fn finest(nanoseconds: u64) -> (u64, u8) {
        let in_units = UNITS
            .into_iter()
            .map(|(unit, length)| (nanoseconds.div_ceil(length), unit));
        let mut fitting = in_units.skip_while(|(count, _)| *count > MAX_COUNT);
        fitting.next().unwrap_or((MAX_COUNT, b'H'))
    }

    fn header(mut count: u64, unit: u8) -> HeaderValue {
        let mut text = [unit; MAX_DIGITS + 1];
        let mut first = MAX_DIGITS;
        while first == MAX_DIGITS || count > 0 {
            first -= 1;
            text[first] = b'0' + (count % 10) as u8;
            count /= 10;
        }
        HeaderValue::from_bytes(&text[first..]).expect("digits and a letter are visible ASCII")
    }

    /// Reads a `grpc-timeout`.
    ///
    /// # Errors
    /// [`InvalidTimeout`] unless it is 1 to 8 digits and a unit.
    pub fn parse(value: &HeaderValue) -> Result<Duration, InvalidTimeout> {
        duration(value.as_bytes()).ok_or_else(|| InvalidTimeout {
            value: value.clone(),
            expected: "1 to 8 digits and one of the units n, u, m, S, M, H",
        })
    }

    fn duration(text: &[u8]) -> Option<Duration> {
        let (unit, count) = text
            .split_last()
            .filter(|(_, count)| count.len() <= MAX_DIGITS)?;
        let count = digits(count)?;
        match unit {
            b'n' => Some(Duration::from_nanos(count)),
            b'u' => Some(Duration::from_micros(count)),
            b'm' => Some(Duration::from_millis(count)),
            b'S' => Some(Duration::from_secs(count)),
            b'M' => Some(Duration::from_secs(count * 60)),
            b'H' => Some(Duration::from_secs(count * 3_600)),
            _ => None,
        }
    }
}

/// Writes go-micro's `timeout` (go-micro v2 `client/grpc/grpc.go`): nanoseconds, unsigned, decimal.
///
/// What is longer than 2⁶³ - 1 ns (292 years), the longest time Go knows, becomes that; Go would take more for a
/// negative time. Zero becomes `0`, which no caller sends: see the [module docs](self).
pub fn format_nanoseconds(timeout: Duration) -> HeaderValue {
    let nanoseconds = i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX);
    HeaderValue::from(nanoseconds)
}

/// Reads go-micro's `timeout` (go-micro v2 `server/grpc/grpc.go`).
///
/// Zero is a time that has passed already.
///
/// # Errors
/// [`InvalidTimeout`] unless it is a whole number from 0 to 2⁶⁴ - 1.
pub fn parse_nanoseconds(value: &HeaderValue) -> Result<Duration, InvalidTimeout> {
    let nanoseconds = digits(value.as_bytes()).ok_or_else(|| InvalidTimeout {
        value: value.clone(),
        expected: "a whole number of nanoseconds below 2^64",
    })?;
    Ok(Duration::from_nanos(nanoseconds))
}

/// The number that `text` spells, if it is all digits, at least one, and fits.
fn digits(text: &[u8]) -> Option<u64> {
    let append = |number: u64, digit: &u8| {
        let digit = char::from(*digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    };
    text.first().and_then(|_| text.iter().try_fold(0, append))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn value(bytes: &[u8]) -> HeaderValue {
        HeaderValue::from_bytes(bytes).unwrap()
    }

    fn unit(formatted: &HeaderValue) -> Duration {
        let unit = *formatted.as_bytes().last().unwrap();
        grpc_timeout::parse(&value(&[b'1', unit])).unwrap()
    }

    #[test]
    fn a_timeout_has_the_finest_unit_that_fits() {
        for (timeout, formatted) in [
            (Duration::ZERO, "0n"),
            (Duration::from_nanos(1), "1n"),
            (Duration::from_nanos(99_999_999), "99999999n"),
            (Duration::from_millis(100), "100000u"),
            (Duration::from_secs(30), "30000000u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_secs(100_000), "100000S"),
            (Duration::from_secs(100_000_000), "1666667M"),
            (99_999_999 * HOUR, "99999999H"),
        ] {
            assert_eq!(grpc_timeout::format(timeout), formatted);
        }
    }

    #[test]
    fn a_timeout_is_rounded_up() {
        assert_eq!(
            grpc_timeout::format(Duration::from_nanos(100_000_001)),
            "100001u"
        );
        assert_eq!(
            grpc_timeout::format(Duration::from_nanos(99_999_999_001)),
            "100000m"
        );
        let hours = 10_000_000 * HOUR + Duration::from_nanos(1);
        assert_eq!(grpc_timeout::format(hours), "10000001H");
    }

    #[test]
    fn a_timeout_beyond_all_units_is_the_longest_there_is() {
        assert_eq!(grpc_timeout::format(Duration::MAX), "99999999H");
        assert_eq!(format_nanoseconds(Duration::MAX), "9223372036854775807");
    }

    #[test]
    fn what_is_not_a_grpc_timeout_is_refused() {
        for text in [
            "",
            "S",
            "1",
            "123456789n",
            "1s",
            "-1S",
            "+1S",
            " 1S",
            "1S ",
            "1.5S",
            "0x1S",
            "1SS",
        ] {
            let refused = grpc_timeout::parse(&value(text.as_bytes())).unwrap_err();
            assert!(
                refused.to_string().contains(&format!("{text:?}")),
                "{refused}"
            );
        }
    }

    #[test]
    fn go_micros_timeout_is_a_whole_number_of_nanoseconds() {
        let five_seconds = Duration::from_secs(5);
        assert_eq!(format_nanoseconds(five_seconds), "5000000000");
        assert_eq!(parse_nanoseconds(&value(b"5000000000")), Ok(five_seconds));
        assert_eq!(parse_nanoseconds(&value(b"000")), Ok(Duration::ZERO));
        assert_eq!(
            parse_nanoseconds(&value(b"18446744073709551615")),
            Ok(Duration::from_nanos(u64::MAX))
        );
        for text in [
            "",
            "+1",
            "-1",
            "1_0",
            "5s",
            "1.0",
            "0x1",
            "18446744073709551616",
        ] {
            assert!(
                parse_nanoseconds(&value(text.as_bytes())).is_err(),
                "{text:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_peer_gives_up_within_one_unit_after_its_caller_and_never_before(
            seconds in 0..99_999_999 * 3_600_u64,
            shift in 0..64,
            nanoseconds in 0..1_000_000_000_u32,
        ) {
            let timeout = Duration::new(seconds >> shift, nanoseconds);
            let formatted = grpc_timeout::format(timeout);
            prop_assert!(formatted.len() <= 9);
            let parsed = grpc_timeout::parse(&formatted).unwrap();
            prop_assert!(parsed >= timeout && parsed - timeout < unit(&formatted));
        }

        #[test]
        fn any_timeout_can_be_written(seconds: u64, nanoseconds in 0..1_000_000_000_u32) {
            let timeout = Duration::new(seconds, nanoseconds);
            prop_assert!(grpc_timeout::parse(&grpc_timeout::format(timeout)).is_ok());
            let parsed = parse_nanoseconds(&format_nanoseconds(timeout)).unwrap();
            prop_assert_eq!(parsed, timeout.min(Duration::from_nanos(i64::MAX.unsigned_abs())));
        }

        #[test]
        fn any_header_is_read_without_a_panic(
            bytes in prop_oneof![any::<Vec<u8>>(), "[0-9]{0,24}[numSMH]?".prop_map(String::into_bytes)],
        ) {
            if let Ok(header) = HeaderValue::from_bytes(&bytes) {
                let is_timeout = bytes.len() <= 9 && bytes.len() >= 2
                    && bytes[..bytes.len() - 1].iter().all(u8::is_ascii_digit)
                    && b"numSMH".contains(&bytes[bytes.len() - 1]);
                prop_assert_eq!(grpc_timeout::parse(&header).is_ok(), is_timeout);
                prop_assert!(parse_nanoseconds(&header).is_err() || bytes.iter().all(u8::is_ascii_digit));
            }
        }
    }
}
