//! go-micro's default selector: the nodes a registry knows, by a strategy.
//!
//! At the first call to a service a task begins to watch it; from then on it follows the registry
//! whether there are calls or not, and publishes what it knows. Choosing reads the last
//! publication: no lock, no copy, no waiting, and the same work for three nodes as for ten
//! thousand. A thread that chose from it before remembers where it is.
//!
//! ```text
//!   Registry --changes--> task (one a service) --publishes--> Set <--reads-- select
//! ```
//!
//! # What a call sees
//!
//! | what is known of the service | `select` answers |
//! |---|---|
//! | nothing yet | [`Selection::Pending`], until the registry's first answer |
//! | nodes | a [`Picker`] over them |
//! | a version, but no node | a picker whose every attempt fails with `NoneAvailable` |
//! | that it does not exist | [`SelectError::NotFound`] |
//! | nothing, and the registry failed | [`SelectError::Registry`], at once; the watch of a `Cache` goes on, that of any other registry is begun anew by the next call |
//! | nodes from before, and the registry failed | a picker over them; see [`RegistrySelector::trouble`] |
//!
//! # Wrap the registry in a `Cache`
//!
//! A watch that ends after it has said anything is not begun again: who wants it to be, with a
//! delay that grows, and the last set kept for so long, gives a `Cache` of `tower-micro-registry`
//! around the registry. If a watch ended before it said anything, the next
//! call begins a new one.
//!
//! So it does when the task was stopped, because its runtime ended or the registry panicked: the nodes stay meanwhile, and what was
//! learned of them too. A call that still waits for the first answer when another runtime ends begins the watch anew in its own.
//!
//! # What a registry may say
//!
//! Anything. A node whose address has no form (see `Node::check_address`) is [left
//! out](RegistrySelector::skipped) and the others are used. Of two nodes of one version with the
//! same id the later one counts. A change that changes nothing is not published.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//! use tokio::task::JoinSet;
//! use tower_micro_registry::{BoxFuture, ServiceName, Static};
//! use tower_micro_selector::{Filter, RegistrySelector, SelectOptions, Selector, TaskGuard};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Static::addresses("greeter", ["10.0.0.1:8080", "10.0.0.2:8080"])?;
//! let selector = RegistrySelector::new(Arc::new(registry), |watching: BoxFuture<'static, ()>| {
//!     let mut task = JoinSet::new(); // ends its tasks when it is dropped
//!     task.spawn(watching);
//!     Ok(Box::new(task) as TaskGuard)
//! });
//!
//! let greeter = ServiceName::new("greeter")?;
//! let latest = SelectOptions { filters: vec![Filter::version("latest")], ..SelectOptions::default() };
//! let node = selector.select(&greeter, &latest).await?.next()?;
//! assert!(node.address.starts_with("10.0.0."));
//! # Ok(())
//! # }
//! ```
//!
//! # Not here
//!
//! What makes a node go out: see [`health`](crate::health). Without
//! [`with_health`](RegistrySelector::with_health), [`Selector::mark`] does nothing, as that of go-micro's registry
//! selector. Expiry of services nobody calls any more: a watched service is watched as long as the selector lives,
//! so service names should not come from users.

mod catalog;
mod directory;
mod driver;
mod memo;
mod set;
mod snapshot;
mod spawn;
mod watch;

pub use spawn::{Spawn, SpawnError, TaskGuard};

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tower_micro_registry::{Registry, ServiceName};

use self::catalog::Catalog;
use self::directory::Directory;
use self::driver::Heard;
use self::set::Set;
use self::snapshot::Snapshot;
use self::watch::Watch;
use crate::health::{Admission, Blacklist};
use crate::{
    Candidate, Clock, Health, Mark, Picker, Random, SelectError, SelectOptions, Selection,
    Selector, Strategy, SystemClock,
};

/// Chooses among the nodes of a registry. See the [module docs](self) for an example.
pub struct RegistrySelector {
    registry: Arc<dyn Registry>,
    spawn: Arc<dyn Spawn>,
    strategy: Arc<dyn Strategy>,
    health: Health,
    blacklist: Option<Arc<Blacklist>>,
    slow_start: Duration,
    clock: Arc<dyn Clock>,
    services: Directory<Watched>,
}

/// A service, and who keeps it up to date.
#[derive(Default)]
struct Watched {
    set: Arc<Set>,
    watch: OnceLock<Arc<Watch>>,
}

impl RegistrySelector {
    /// Chooses among what `registry` knows, by go-micro's default strategy, [`Random`]. `spawn`
    /// runs the tasks that watch; they end with the selector.
    #[must_use]
    pub fn new(registry: Arc<dyn Registry>, spawn: impl Spawn + 'static) -> Self {
        let (spawn, strategy) = (Arc::new(spawn), Arc::new(Random));
        Self {
            registry,
            spawn,
            strategy,
            health: Health::None,
            blacklist: None,
            slow_start: Duration::ZERO,
            clock: Arc::new(SystemClock),
            services: Directory::default(),
        }
    }

    /// Chooses by `strategy` where a call does not name its own. Set it before the first call.
    #[must_use]
    pub fn with_strategy(self, strategy: Arc<dyn Strategy>) -> Self {
        Self {
            strategy,
            services: Directory::default(),
            ..self
        }
    }

    /// Keeps nodes that fail out of the choice; [`Health::None`] unless set. Set it before the first call: it is
    /// fixed, since what was learned by one rule says nothing by another.
    #[must_use]
    pub fn with_health(self, health: Health) -> Self {
        let listing = health == Health::Blacklist;
        Self {
            blacklist: listing.then(|| Arc::new(Blacklist::new(&self.clock))),
            health,
            services: Directory::default(),
            ..self
        }
    }

    /// Gives a node that is new, or back, its share little by little: from a tenth at first to the whole after
    /// `window`. Off unless set. Those that are there at the first call are not new.
    ///
    /// It is for strategies that choose at random, [`Random`] and [`Weighted`](crate::Weighted), and for those that [go by
    /// load](Strategy::goes_by_load), [`P2c`](crate::P2c) and [`PeakEwma`](crate::PeakEwma): for that part of the calls they
    /// choose among all, for the rest among the others. While the others are busy it is the first choice, and its share up
    /// to twice as much. Any other strategy that names the same node however often it is asked gets it (gRFC A100,
    /// Envoy's `slow_start_config`).
    #[must_use]
    pub fn with_slow_start(self, window: Duration) -> Self {
        Self {
            slow_start: window,
            services: Directory::default(),
            ..self
        }
    }

    /// Reads the time from `clock`; from the system's unless set.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock + 'static) -> Self {
        let health = self.health.clone();
        let clock = Arc::new(clock);
        Self { clock, ..self }.with_health(health)
    }

    /// The nodes in question for `service` now, before filters. Empty if none are known; does not
    /// begin to watch.
    #[must_use]
    pub fn candidates(&self, service: &ServiceName) -> Vec<Arc<Candidate>> {
        self.look(service, |snapshot| snapshot.candidates().to_vec())
            .unwrap_or_default()
    }

    /// How many nodes of `service` are left out, because their address has no form.
    #[must_use]
    pub fn skipped(&self, service: &ServiceName) -> usize {
        self.look(service, Snapshot::skipped).unwrap_or_default()
    }

    /// What the registry failed with since its last good word on `service`: then the nodes may be
    /// old.
    #[must_use]
    pub fn trouble(&self, service: &ServiceName) -> Option<SelectError> {
        self.services
            .get(service)
            .and_then(|watched| watched.set.trouble())
    }

    fn look<T>(&self, service: &ServiceName, at: impl FnOnce(&Snapshot) -> T) -> Option<T> {
        self.services
            .get(service)
            .and_then(|watched| watched.set.look(at))
    }

    /// Whatever their health.
    #[inline]
    fn select_any(&self, service: &ServiceName, options: &SelectOptions) -> Selection {
        let watched = self.services.get_or_default(service);
        match watched.set.select(options) {
            Some(answer) => answer,
            None => self.watch(service, watched).select(options),
        }
    }

    fn watch<'a>(&self, service: &ServiceName, watched: &'a Watched) -> &'a Arc<Watch> {
        watched.watch.get_or_init(|| {
            Arc::new(Watch {
                registry: Arc::clone(&self.registry),
                spawn: Arc::clone(&self.spawn),
                service: service.clone(),
                set: Arc::clone(&watched.set),
                nothing_heard: self.nothing_heard(),
                task: Mutex::default(),
            })
        })
    }

    /// What is heard of a service at first.
    fn nothing_heard(&self) -> Box<dyn Fn() -> Heard + Send + Sync> {
        let outlier = match self.health {
            Health::Outlier(outlier) => Some(outlier),
            Health::None | Health::Blacklist => None,
        };
        let (strategy, slow_start) = (Arc::clone(&self.strategy), self.slow_start);
        let clock = Arc::clone(&self.clock);
        Box::new(move || {
            let admission = Admission::new(outlier, slow_start, &clock);
            Heard::nothing(Catalog::new(Arc::clone(&strategy), admission))
        })
    }
}

/// go-micro drops what is listed when it selects, so that an attempt may still go to a node that was listed
/// meanwhile; a service without nodes goes too.
fn without_listed(
    blacklist: &Blacklist,
    answer: Result<Picker, SelectError>,
    options: &SelectOptions,
) -> Result<Picker, SelectError> {
    let left = answer?.narrowed(options, |all| blacklist.leaves(all));
    left.ok_or(SelectError::NoneAvailable)
}

fn without_listed_of(
    blacklist: &Arc<Blacklist>,
    selection: Selection,
    options: &SelectOptions,
) -> Selection {
    match selection {
        Selection::Ready(answer) => Selection::Ready(without_listed(blacklist, answer, options)),
        Selection::Pending(answer) => {
            let (blacklist, options) = (Arc::clone(blacklist), options.clone());
            Selection::Pending(Box::pin(async move {
                without_listed(&blacklist, answer.await, &options)
            }))
        }
    }
}

impl Selector for RegistrySelector {
    fn select(&self, service: &ServiceName, options: &SelectOptions) -> Selection {
        match &self.blacklist {
            None => self.select_any(service, options),
            Some(blacklist) => {
                without_listed_of(blacklist, self.select_any(service, options), options)
            }
        }
    }

    fn mark(&self, _: &ServiceName, candidate: &Arc<Candidate>, mark: Mark<'_>) {
        candidate.mark(mark);
        if let Some(blacklist) = &self.blacklist {
            blacklist.mark(candidate, mark);
        }
    }

    fn marks_only_the_node(&self) -> bool {
        self.blacklist.is_none()
    }

    fn name(&self) -> &'static str {
        "registry"
    }
}

impl fmt::Debug for RegistrySelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistrySelector")
            .field("registry", &self.registry)
            .field("strategy", &self.strategy)
            .field("health", &self.health)
            .field("slow_start", &self.slow_start)
            .field("blacklist", &self.blacklist)
            .field("services", &self.services)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.set.fmt(f)
    }
}

#[cfg(test)]
mod tests;
