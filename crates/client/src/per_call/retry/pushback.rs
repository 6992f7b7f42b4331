//! What a node says of when to come back: `grpc-retry-pushback-ms` (gRFC A6, "Pushback").

use std::time::Duration;

use tokio::time::Instant;
use tower_micro_call::{Deadline, Error};

const HEADER: &str = "grpc-retry-pushback-ms";

/// A node's word on the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushback {
    /// It said nothing.
    Unsaid,
    /// After exactly this time, whatever the backoff would say.
    After(Duration),
    /// Not at all: a negative number, something that is no number, or several values; or a pause that is no shorter than what is left.
    Stop,
}

impl Pushback {
    /// What the node of `error` said to a call that ends with `deadline`.
    pub(super) fn of(error: &Error, deadline: Option<Deadline>) -> Self {
        match (Self::said_by(error), deadline) {
            (Self::After(pause), Some(deadline)) if deadline.remaining(Instant::now()) <= pause => {
                Self::Stop
            }
            (said, _) => said,
        }
    }

    fn said_by(error: &Error) -> Self {
        let mut said = error.status().metadata().get_all(HEADER).iter();
        match (said.next(), said.next()) {
            (None, _) => Self::Unsaid,
            (Some(_), Some(_)) => Self::Stop,
            (Some(one), None) => one
                .to_str()
                .ok()
                .and_then(|text| text.parse::<i32>().ok())
                .and_then(|milliseconds| u64::try_from(milliseconds).ok())
                .map_or(Self::Stop, |pause| {
                    Self::After(Duration::from_millis(pause))
                }),
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic::Status;
    use tower_micro_call::Dialect;

    use super::*;

    fn said(values: &[&str]) -> Pushback {
        let mut status = Status::unavailable("busy");
        for value in values {
            status.metadata_mut().append(HEADER, value.parse().unwrap());
        }
        Pushback::of(&Error::answered(status, Dialect::Grpc), None)
    }

    #[test]
    fn a_number_is_a_pause_and_anything_else_is_an_end() {
        assert_eq!(said(&[]), Pushback::Unsaid);
        assert_eq!(said(&["0"]), Pushback::After(Duration::ZERO));
        assert_eq!(
            said(&["1500"]),
            Pushback::After(Duration::from_millis(1500))
        );
        for end in [
            ["-1"].as_slice(),
            &["soon"],
            &["1.5"],
            &[""],
            &["99999999999"],
            &["1", "1"],
        ] {
            assert_eq!(said(end), Pushback::Stop, "{end:?}");
        }
    }
}
