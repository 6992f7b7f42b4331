//! Options of one request, given where a generated client takes them.

use tonic::Request;

use crate::CallOptions;

/// Puts [`CallOptions`] on a [`tonic::Request`].
///
/// # Example
/// ```
/// use tower_micro_call::{CallOptions, RequestExt};
///
/// let request = tonic::Request::new(()).with_options(CallOptions::new().idempotent(true).retries(3));
/// # let _ = request;
/// ```
pub trait RequestExt {
    /// Lays `options` over the ones that are on the request already.
    #[must_use]
    fn with_options(self, options: CallOptions) -> Self;
}

impl<T> RequestExt for Request<T> {
    fn with_options(mut self, options: CallOptions) -> Self {
        add(self.extensions_mut(), options);
        self
    }
}

impl<B> RequestExt for http::Request<B> {
    fn with_options(mut self, options: CallOptions) -> Self {
        add(self.extensions_mut(), options);
        self
    }
}

fn add(extensions: &mut http::Extensions, options: CallOptions) {
    let merged = match extensions.remove::<CallOptions>() {
        Some(present) => present.merged(options),
        None => options,
    };
    extensions.insert(merged);
}
