//! Who is told of the numbers.

use std::{sync::Arc, time::Duration};

use tower_micro_registry::ServiceName;

/// What numbers are told apart by: few values, so that there are few series. The node is not among them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Labels {
    /// `package.Service/Method`, or the word for all that are beyond the limit: see [`Methods`](crate::Methods).
    pub method: Arc<str>,
    /// The service as in the registry, if it is known.
    pub service: Option<ServiceName>,
}

/// A call that has ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Call<'a> {
    /// What was called.
    pub labels: &'a Labels,
    /// The name of the gRPC code.
    pub status: &'static str,
    /// What kind of error, if it failed.
    pub error: Option<&'static str>,
    /// From the first moment to the end of the answer.
    pub elapsed: Duration,
    /// How many attempts it took; 0 if none was begun, or nobody counted. A call that is let go of before it is answered, or panics, does
    /// not tell, and counts as one.
    pub attempts: u32,
}

/// An attempt that has ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Attempt<'a> {
    /// What was called.
    pub labels: &'a Labels,
    /// The name of the gRPC code.
    pub status: &'static str,
    /// Whether the node may have acted on it, if it failed.
    pub disposition: Option<&'static str>,
    /// From the moment the node was chosen to the end of the answer.
    pub elapsed: Duration,
    /// The id of the node, if the layer was told to name it.
    pub node: Option<&'a str>,
}

/// A call that was handled.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Handled<'a> {
    /// What was called.
    pub labels: &'a Labels,
    /// The name of the gRPC code.
    pub status: &'static str,
    /// What kind of error, if it was the server's.
    pub error: Option<&'static str>,
    /// From the request's headers to the end of the answer.
    pub elapsed: Duration,
}

/// Keeps the numbers: OpenTelemetry's instruments, the `metrics` facade, or yours. The cut is that of gRFC A66: calls, the attempts
/// of calls, and the server's side. It is asked on the way of every call and must not block.
pub trait Measure: Send + Sync + 'static {
    /// A call has begun.
    fn call_began(&self, _labels: &Labels) {}

    /// A call has ended. Told once for each that began.
    fn call_ended(&self, call: &Call<'_>);

    /// An attempt has begun.
    fn attempt_began(&self, _labels: &Labels) {}

    /// An attempt has ended. Told once for each that began.
    fn attempt_ended(&self, attempt: &Attempt<'_>);

    /// A call was handled.
    fn handled(&self, handled: &Handled<'_>);
}
