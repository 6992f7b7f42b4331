//! Whether an attempt that failed is worth another.

use tonic::Code;
use tower_micro_call::{Disposition, Error, Kind, RetryContext, RetryPolicy};

/// `Preset::Standard`'s predicate.
///
/// What was never sent, or not acted on, is done again whatever the method. UNAVAILABLE and an attempt that timed out are done again
/// if the method is idempotent. Nothing else is (gRFC A6; the owner of a method decides).
#[derive(Clone, Copy, Debug, Default)]
pub struct StandardPolicy;

impl RetryPolicy for StandardPolicy {
    fn should_retry(&self, cx: RetryContext<'_>) -> Result<bool, Error> {
        let Some(error) = cx.error else {
            return Ok(false);
        };
        let idempotent = cx.options.get_idempotent() == Some(true);
        Ok(is_safe(error) || (idempotent && is_passing(error)))
    }
}

fn is_safe(error: &Error) -> bool {
    matches!(
        error.kind(),
        Kind::Connect | Kind::Transport | Kind::Overload
    ) && matches!(
        error.disposition(),
        Disposition::NeverSent | Disposition::Unprocessed
    )
}

fn is_passing(error: &Error) -> bool {
    match error.kind() {
        Kind::Select | Kind::Deadline | Kind::Request | Kind::Panic => false,
        Kind::AttemptTimeout => true,
        _ => error.code() == Code::Unavailable,
    }
}

/// go-micro's `RetryOnError`: a list of go-micro codes, whatever the method.
///
/// v2 retries 408 and 500, v4.10 and later 408 only (`client/retry.go`). An error without a go-micro form counts by what its text
/// says, as `errors.Parse` reads it.
#[derive(Clone, Copy, Debug)]
pub struct RetryOnCodes(&'static [i32]);

impl RetryOnCodes {
    /// go-micro v2.9.1's.
    pub const GO_MICRO_V2: Self = Self(&[408, 500]);

    /// go-micro v4.11's.
    pub const GO_MICRO_V4: Self = Self(&[408]);
}

impl RetryPolicy for RetryOnCodes {
    fn should_retry(&self, cx: RetryContext<'_>) -> Result<bool, Error> {
        Ok(cx
            .error
            .is_some_and(|error| self.0.contains(&error.micro_code())))
    }
}
