//! The header that says how long the node has, kept from one call to the next.
//!
//! A connection keeps the headers that it has sent in a table (RFC 7541 §2.3.2), and h2 looks through all those of one name for the
//! value that it sends. So what comes once is marked as sensitive, which keeps it out: else a call whose time is as long as that of
//! most is compared with every one that was not, for as long as the connection lives.

use std::{sync::OnceLock, time::Duration};

use http::HeaderValue;
use tower_micro_call::timeout::grpc_timeout;

/// How many headers are kept for good, and how many of them a connection's table has at most.
const LASTING: usize = 16;

/// First attempts mostly have the same time as those before: from the second one on its header is kept.
#[derive(Clone, Debug, Default)]
pub(super) struct LastTimeout {
    timeout: Option<Duration>,
    header: Option<HeaderValue>,
}

impl LastTimeout {
    #[inline]
    pub(super) fn header(&mut self, timeout: Duration) -> HeaderValue {
        match &self.header {
            Some(header) if self.timeout == Some(timeout) => header.clone(),
            _ => self.other(timeout),
        }
    }

    #[cold]
    fn other(&mut self, timeout: Duration) -> HeaderValue {
        let header = grpc_timeout::format(timeout);
        let again = self.timeout.replace(timeout) == Some(timeout);
        self.header = again.then(|| KEPT.lasting(&header));
        self.header.clone().unwrap_or_else(|| once(header))
    }
}

/// Programs have few timeouts: the first ones that come twice are kept until the program ends.
struct Kept([OnceLock<HeaderText>; LASTING]);

static KEPT: Kept = Kept::new();

impl Kept {
    const fn new() -> Self {
        Self([const { OnceLock::new() }; LASTING])
    }

    /// The same header as a static text, of which a copy counts no references. When there is no place left, one that counts them, and
    /// that is sent as those that come once.
    fn lasting(&'static self, header: &HeaderValue) -> HeaderValue {
        let places = self.0.iter();
        let mut kept = places.map(|place| place.get_or_init(|| HeaderText::of(header)));
        match kept.find(|kept| *header == *kept.0) {
            Some(kept) => HeaderValue::from_static(&kept.0),
            None => once(header.clone()),
        }
    }
}

/// Stays out of the tables of connections.
fn once(mut header: HeaderValue) -> HeaderValue {
    header.set_sensitive(true);
    header
}

/// What a header says.
struct HeaderText(Box<str>);

impl HeaderText {
    fn of(header: &HeaderValue) -> Self {
        let text = header.to_str();
        Self(text.expect("digits and a letter are visible").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_that_comes_again_is_told_in_the_same_words() {
        let mut last = LastTimeout::default();
        for seconds in [1, 1, 1, 2, 1, 2, 2, 2, 1] {
            let timeout = Duration::from_secs(seconds);
            assert_eq!(last.header(timeout), grpc_timeout::format(timeout));
        }
    }

    #[test]
    fn a_timeout_that_comes_once_stays_out_of_the_tables_of_connections() {
        let mut last = LastTimeout::default();
        for seconds in [1, 2, 1] {
            let header = last.header(Duration::from_secs(seconds));
            assert!(header.is_sensitive());
        }
    }

    #[test]
    fn no_more_timeouts_come_into_the_tables_of_connections_than_are_kept() {
        static KEPT: Kept = Kept::new();
        for _ in 0..2 {
            let hours = (0..2 * LASTING as u64).map(|hour| Duration::from_secs(hour * 3_600));
            let lasting = hours.map(|time| KEPT.lasting(&grpc_timeout::format(time)));
            let (inside, outside): (Vec<_>, Vec<_>) =
                lasting.partition(|header| !header.is_sensitive());
            assert_eq!((inside.len(), outside.len()), (LASTING, LASTING));
        }
    }

    #[test]
    fn timeouts_are_told_however_many_there_are() {
        let mut last = LastTimeout::default();
        for seconds in 0..4 * LASTING as u64 {
            let timeout = Duration::from_secs(seconds);
            for _ in 0..3 {
                assert_eq!(last.header(timeout), grpc_timeout::format(timeout));
            }
        }
    }
}
