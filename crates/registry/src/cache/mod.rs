//! Keeps a watch alive, and the last good set with its reader.
//!
//! A [`Cache`] is a [`Registry`] in front of another. Its watches never end. When the registry fails, the
//! reader gets one `Err` for each failure, so that whoever waits for a first set knows at once, and no change:
//! the set it has stays as it is. The cache watches again, with backoff, and when that succeeds sends a
//! [`Change::Reset`](crate::Change::Reset). An error is never told as an empty set.
//!
//! - **Anti-entropy.** Registries lose events. Every [`CacheOptions::resync`] the cache opens a second watch
//!   beside the first, takes its set, and goes on with it; the reader hears of it only if something differs.
//! - **Doubt.** A set without a node that follows one with nodes is read a second time before it is passed on,
//!   whether it came from a new watch, the first one of a reader that begins again included, or as a `Reset`
//!   within one. It is believed if it comes again within twice [`CacheOptions::timeout`] and nothing changed in
//!   between; if nodes have come, it is doubted anew, and read again with backoff.
//!   Nodes that were deleted one by one are gone at once.
//! - **Hanging.** A watch that has not given its first set within [`CacheOptions::timeout`] has failed.
//!
//! Each watch has an inner watch of its own; nothing runs once it is dropped. go-micro's cache
//! (`registry/cache/cache.go`) likewise returns what it has when the registry fails.
//!
//! # Units and defaults
//! Resync after 60 s ± 10 % (go-micro's time to live), timeout 5 s (its etcd timeout), backoff as in [`Backoff`].
//!
//! # Errors
//! In the stream: those of the registry; [`Error::WatchEnded`] if its watch ended, [`Error::Unavailable`] if it
//! hung or did not begin with a `Reset`. From [`Registry::watch`]: none.
//!
//! # Example
//! ```
//! use futures_util::StreamExt;
//! use tower_micro_registry::{Cache, Registry, ServiceName, Static};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cache = Cache::new(Static::addresses("greeter", ["127.0.0.1:5001"])?);
//! let greeter = ServiceName::new("greeter")?;
//! let mut changes = cache.watch(&greeter).await?;
//! let mut set = Vec::new();
//! match changes.next().await.expect("a watch of a cache never ends") {
//!     Ok(change) => change.apply(&mut set),
//!     Err(error) => eprintln!("keeping {} services: {error}", set.len()),
//! }
//! let status = cache.status(&greeter).expect("it is watched");
//! assert_eq!((status.services, status.nodes), (1, 1));
//! # Ok(())
//! # }
//! ```
//!
//! With other times: `Cache::with_options(registry, CacheOptions::default().resync(Duration::from_secs(10)))`.
//!
//! # Not here
//! A set to ask for: a selector folds the changes and keeps it. Nodes that cannot be dialled are passed on.

mod backoff;
mod compare;
mod opening;
mod options;
mod status;
mod watching;

use std::sync::Arc;

use futures_util::StreamExt;

pub use self::backoff::Backoff;
pub use self::options::CacheOptions;
pub use self::status::Status;
use self::status::{Board, Reporter};
use self::watching::Watching;
use crate::{BoxFuture, Changes, Error, RegisterOptions, Registry, Service, ServiceName};

/// A registry whose watches outlive failures of the one behind it. See the [module docs](self) for an example.
///
/// Clones share their [`status`](Self::status). Its name is that of the registry behind it.
#[derive(Clone, Debug)]
pub struct Cache {
    inner: Arc<dyn Registry>,
    options: CacheOptions,
    board: Board,
}

impl Cache {
    /// A cache in front of `registry`, with the default [`CacheOptions`].
    pub fn new(registry: impl Registry) -> Self {
        Self::with_options(registry, CacheOptions::default())
    }

    /// A cache in front of `registry`, with other times.
    pub fn with_options(registry: impl Registry, options: CacheOptions) -> Self {
        Self {
            inner: Arc::new(registry),
            options,
            board: Board::default(),
        }
    }

    /// What is known of a service, and since when; `None` while nobody watches it through this cache.
    ///
    /// If it is watched twice, this is what the last of them reported.
    pub fn status(&self, service: &ServiceName) -> Option<Status> {
        self.board.read(service)
    }
}

impl Registry for Cache {
    fn watch<'a>(&'a self, service: &'a ServiceName) -> BoxFuture<'a, Result<Changes, Error>> {
        Box::pin(async move {
            let reporter = Reporter::new(self.board.clone(), service.clone());
            let watching =
                Watching::new(self.inner.clone(), service.clone(), self.options, reporter);
            Ok(watching.boxed())
        })
    }

    fn register<'a>(
        &'a self,
        service: &'a Service,
        options: RegisterOptions,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.inner.register(service, options)
    }

    fn deregister<'a>(&'a self, service: &'a Service) -> BoxFuture<'a, Result<(), Error>> {
        self.inner.deregister(service)
    }

    fn services<'a>(&'a self) -> BoxFuture<'a, Result<Vec<ServiceName>, Error>> {
        self.inner.services()
    }

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn keeps_watching(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
