//! What every registry does.

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;

use crate::{Change, Error, Service, ServiceName};

/// A future in a box, which may borrow for as long as `'a`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How one service changes. Dropping it ends the watch.
pub type Changes = Pin<Box<dyn Stream<Item = Result<Change, Error>> + Send>>;

/// Knows which services exist, and tells how they change.
///
/// Object-safe: an `Arc<dyn Registry>` is a registry too. Calls are boxed, since none is made per request.
/// go-micro's `Registry` (`registry/registry.go`), with `GetService` and `Watch` made one: what is read and
/// what is watched can then have no gap between them.
///
/// # Example
/// One that others write to: whoever holds the sender says which addresses there are.
/// ```
/// use futures_util::{StreamExt, stream};
/// use tokio::sync::watch;
/// use tower_micro_registry::{
///     BoxFuture, Change, Changes, Error, Node, RegisterOptions, Registry, Service, ServiceName,
/// };
///
/// #[derive(Debug)]
/// struct Told(watch::Receiver<Vec<String>>);
///
/// fn read_only() -> Error {
///     Error::ReadOnly { registry: "told".into() }
/// }
///
/// impl Registry for Told {
///     fn watch<'a>(&'a self, service: &'a ServiceName) -> BoxFuture<'a, Result<Changes, Error>> {
///         let mut told = self.0.clone();
///         told.mark_changed(); // what is known already is the first change
///         let sets = stream::unfold(told, |mut told| async {
///             told.changed().await.ok()?;
///             let addresses = told.borrow_and_update().clone();
///             Some((addresses, told))
///         });
///         let name = service.clone();
///         let changes = sets.map(move |addresses| {
///             let none = Service::new(name.as_str(), "latest");
///             let add = |service: Service, at: String| service.with_node(Node::new(at.clone(), at));
///             Ok(Change::Reset(vec![addresses.into_iter().fold(none, add)]))
///         });
///         Box::pin(async { Ok(Box::pin(changes) as Changes) })
///     }
///
///     fn register<'a>(
///         &'a self,
///         _: &'a Service,
///         _: RegisterOptions,
///     ) -> BoxFuture<'a, Result<(), Error>> {
///         Box::pin(async { Err(read_only()) })
///     }
///
///     fn deregister<'a>(&'a self, _: &'a Service) -> BoxFuture<'a, Result<(), Error>> {
///         Box::pin(async { Err(read_only()) })
///     }
///
///     fn services<'a>(&'a self) -> BoxFuture<'a, Result<Vec<ServiceName>, Error>> {
///         Box::pin(async { Ok(Vec::new()) })
///     }
///
///     fn name(&self) -> &str {
///         "told"
///     }
/// }
/// ```
pub trait Registry: Debug + Send + Sync + 'static {
    /// Watches one service.
    ///
    /// The first change is a [`Change::Reset`] with the whole set; an empty one says that the registry knows
    /// of no such service, which is no error. Then come changes as they happen, none left out: a registry that
    /// cannot tell what happened in between sends another `Reset`. After an `Err`, or an end, the watch tells
    /// nothing more: watch again, or let `Cache` do that, whose watches go on.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the registry does not answer.
    fn watch<'a>(&'a self, service: &'a ServiceName) -> BoxFuture<'a, Result<Changes, Error>>;

    /// Adds the nodes of `service`; a node of the same version and id is replaced.
    ///
    /// Registering again, unchanged, keeps nodes alive whose time to live would pass; go-micro does so every
    /// 30 s with a time to live of 60 s.
    ///
    /// # Errors
    /// [`Error::InvalidService`] for what cannot be stored, [`Error::ReadOnly`], [`Error::Unavailable`].
    fn register<'a>(
        &'a self,
        service: &'a Service,
        options: RegisterOptions,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// Removes the nodes of `service`, by version and id. Nodes that are not there are no error.
    ///
    /// # Errors
    /// [`Error::InvalidService`] for what cannot be stored, [`Error::ReadOnly`], [`Error::Unavailable`].
    fn deregister<'a>(&'a self, service: &'a Service) -> BoxFuture<'a, Result<(), Error>>;

    /// The names of all services that have nodes, each once.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the registry does not answer.
    fn services<'a>(&'a self) -> BoxFuture<'a, Result<Vec<ServiceName>, Error>>;

    /// What kind of registry this is, such as `memory`: for messages.
    fn name(&self) -> &str;

    /// Whether its watches never end, and go on after an `Err`. Those of a [`Cache`](crate::Cache) do, and need none in front.
    fn keeps_watching(&self) -> bool {
        false
    }
}

impl<R: Registry + ?Sized> Registry for Arc<R> {
    fn watch<'a>(&'a self, service: &'a ServiceName) -> BoxFuture<'a, Result<Changes, Error>> {
        (**self).watch(service)
    }

    fn register<'a>(
        &'a self,
        service: &'a Service,
        options: RegisterOptions,
    ) -> BoxFuture<'a, Result<(), Error>> {
        (**self).register(service, options)
    }

    fn deregister<'a>(&'a self, service: &'a Service) -> BoxFuture<'a, Result<(), Error>> {
        (**self).deregister(service)
    }

    fn services<'a>(&'a self) -> BoxFuture<'a, Result<Vec<ServiceName>, Error>> {
        (**self).services()
    }

    fn name(&self) -> &str {
        (**self).name()
    }

    fn keeps_watching(&self) -> bool {
        (**self).keeps_watching()
    }
}

/// How nodes are registered. The default keeps them until they are deregistered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegisterOptions {
    /// For how long nodes stay without being registered again; `None` and zero mean for ever.
    pub ttl: Option<Duration>,
}

impl RegisterOptions {
    /// Lets nodes vanish that are not registered again within `ttl`. Zero means never, as in go-micro.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }
}
