//! The header that says how long the node has, kept from one call to the next.

use std::{sync::OnceLock, time::Duration};

use http::HeaderValue;
use tower_micro_call::timeout::grpc_timeout;

/// How many headers are kept for good.
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
        self.header = again.then(|| lasting(&header));
        header
    }
}

/// The same header as a static text, of which a copy counts no references. Programs have few timeouts: the first ones that come twice
/// are kept until the program ends, any others count.
fn lasting(header: &HeaderValue) -> HeaderValue {
    static KEPT: [OnceLock<HeaderText>; LASTING] = [const { OnceLock::new() }; LASTING];
    let mut kept = KEPT
        .iter()
        .map(|place| place.get_or_init(|| HeaderText::of(header)));
    match kept.find(|kept| *header == *kept.0) {
        Some(kept) => HeaderValue::from_static(&kept.0),
        None => header.clone(),
    }
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
