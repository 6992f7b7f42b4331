//! How many methods have series of their own.
//!
//! Each value of a label is a series to be kept for ever. A client's methods are written down in its code, but a server can be asked
//! for anything. So there is a limit, and what comes beyond it is counted under one name.
//!
//! # Units and defaults
//! 256 methods; the others are `other`, as in gRFC A66, and `_OTHER` where `Otel` has OpenTelemetry's names. A server's methods are learned
//! from calls that a handler has answered (see [`handler`](crate::handler)), so that asking for what is not there fills nothing.
//!
//! # Example
//! ```
//! use tower_micro_metrics::Methods;
//!
//! let methods = Methods::up_to(1);
//! assert_eq!(&*methods.name("/greeter.Greeter/SayHello"), "greeter.Greeter/SayHello");
//! assert_eq!(&*methods.name("/greeter.Greeter/SayGoodbye"), "other");
//! ```

use std::{collections::HashSet, sync::Arc};

use arc_swap::ArcSwap;

/// Methods with series of their own, unless told otherwise.
pub const LIMIT: usize = 256;
/// What the others are called.
pub const OTHER: &str = "other";

type Known = HashSet<Arc<str>, foldhash::fast::FixedState>;

/// The methods that have series. Clones share them. See the [module docs](self) for an example.
#[derive(Clone, Debug)]
pub struct Methods {
    known: Arc<ArcSwap<Known>>,
    limit: usize,
    other: Arc<str>,
}

impl Default for Methods {
    fn default() -> Self {
        Self::up_to(LIMIT)
    }
}

impl Methods {
    /// At most `limit` of them.
    pub fn up_to(limit: usize) -> Self {
        Self {
            known: Arc::default(),
            limit,
            other: OTHER.into(),
        }
    }

    /// What the method of a gRPC `path` is counted under; learned, if there is room.
    pub fn name(&self, path: &str) -> Arc<str> {
        let method = path.strip_prefix('/').unwrap_or(path);
        if let Some(known) = self.known(method) {
            return known;
        }
        if self.known.load().len() < self.limit {
            self.learn(method);
        }
        self.known(method)
            .unwrap_or_else(|| Arc::clone(&self.other))
    }

    /// The same, without learning it.
    pub fn name_if_known(&self, path: &str) -> Arc<str> {
        let method = path.strip_prefix('/').unwrap_or(path);
        self.known(method)
            .unwrap_or_else(|| Arc::clone(&self.other))
    }

    fn known(&self, method: &str) -> Option<Arc<str>> {
        self.known.load().get(method).cloned()
    }

    fn learn(&self, method: &str) {
        self.known.rcu(|known| {
            let mut known = Known::clone(known);
            if known.len() < self.limit {
                known.insert(method.into());
            }
            known
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_threads_learn_no_more_than_the_limit() {
        let methods = Methods::up_to(10);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let methods = &methods;
                scope.spawn(move || {
                    for number in 0..100 {
                        methods.name(&format!("/a.B/C{thread}x{number}"));
                    }
                });
            }
        });
        assert_eq!(methods.known.load().len(), 10);
    }

    #[test]
    fn what_is_known_keeps_its_name_when_there_is_no_more_room() {
        let methods = Methods::up_to(1);
        for _ in 0..2 {
            assert_eq!(&*methods.name("/a.B/C"), "a.B/C");
            assert_eq!(&*methods.name("/a.B/D"), OTHER);
        }
        assert_eq!(&*Methods::default().name_if_known("/a.B/C"), OTHER);
    }
}
