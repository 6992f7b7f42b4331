//! How a client is put together.

use std::{fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::{runtime::Handle, time::Instant};
use tower_layer::{Identity, Layer, Stack};
use tower_micro_call::{Body, CallOptions, Proxy, ReplayMemory};
use tower_micro_registry::{Cache, CacheOptions, Registry, ServiceName, without_user};
use tower_micro_selector::{Candidate, Health, RegistrySelector, Selector};

use crate::{
    BuildError, Channel, Client, Connect, Onion, PoolOptions, Preset, Settings,
    connect::H2,
    descriptors,
    stack::{self, Attempt, Call, Parts},
    task::spawn,
    wrap::{
        erase::{ErasedLayer, ErasedService, WrappedService},
        names_of,
    },
};

/// Puts a client together. `W` are the client wrappers, `C` the call wrappers, `K` makes connections.
///
/// Order of settings does not matter; order of wrappers does: see [`wrap`](crate::wrap).
#[must_use = "a builder does nothing until `build`"]
pub struct ClientBuilder<W, C, K> {
    nodes: Option<Nodes>,
    cache: Option<CacheOptions>,
    health: Option<Health>,
    slow_start: Option<Duration>,
    preset: Preset,
    options: CallOptions,
    methods: Vec<(String, CallOptions)>,
    pool: Option<PoolOptions>,
    proxy: Proxy,
    memory: Arc<ReplayMemory>,
    descriptors: Vec<Bytes>,
    connect: K,
    wrap_client: W,
    wrap_call: C,
    client_names: Vec<String>,
    call_names: Vec<String>,
}

/// Where nodes come from.
#[derive(Debug)]
enum Nodes {
    Registry(Arc<dyn Registry>),
    Selector(Arc<dyn Selector>),
}

impl ClientBuilder<Identity, Identity, H2> {
    pub(crate) fn new() -> Self {
        Self {
            nodes: None,
            cache: None,
            health: None,
            slow_start: None,
            preset: Preset::default(),
            options: CallOptions::new(),
            methods: Vec::new(),
            pool: None,
            proxy: Proxy::none(),
            memory: Arc::default(),
            descriptors: Vec::new(),
            connect: H2::new(),
            wrap_client: Identity::new(),
            wrap_call: Identity::new(),
            client_names: Vec::new(),
            call_names: Vec::new(),
        }
    }
}

impl<W, C, K> ClientBuilder<W, C, K> {
    /// Finds nodes in `registry`, behind a [`Cache`] that keeps the last good set while the registry fails, unless it is one already.
    pub fn registry(mut self, registry: impl Registry) -> Self {
        self.nodes = Some(Nodes::Registry(Arc::new(registry)));
        self
    }

    /// How often that cache looks at everything again, each 60 s unless set, and how long it waits for a registry that is slow, 5 s:
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_micro_client::Client;
    /// use tower_micro_registry::{CacheOptions, Static};
    ///
    /// let nodes = Static::addresses("greeter", ["127.0.0.1:50051"])?;
    /// let patient = CacheOptions::default().timeout(Duration::from_secs(20));
    /// let client = Client::builder().registry(nodes).cache(patient).build()?;
    /// # let _ = client;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn cache(mut self, options: CacheOptions) -> Self {
        self.cache = Some(options);
        self
    }

    /// Chooses nodes with a selector of your own.
    pub fn selector(mut self, selector: impl Selector) -> Self {
        self.nodes = Some(Nodes::Selector(Arc::new(selector)));
        self
    }

    /// How nodes of the [`registry`](Self::registry) that fail are kept out of the choice; what the preset says unless set. It is
    /// fixed when the client is built: what was learned of nodes by one rule says nothing by another.
    pub fn health(mut self, health: impl Into<Health>) -> Self {
        self.health = Some(health.into());
        self
    }

    /// Gives nodes of the [`registry`](Self::registry) that are new, or back, their share little by little, over `window`; off unless
    /// set. See [`RegistrySelector::with_slow_start`].
    pub const fn slow_start(mut self, window: Duration) -> Self {
        self.slow_start = Some(window);
        self
    }

    /// Where the options start from.
    pub const fn preset(mut self, preset: Preset) -> Self {
        self.preset = preset;
        self
    }

    /// Options of every call, over those of the preset.
    pub fn options(mut self, options: CallOptions) -> Self {
        self.options = self.options.merged(options);
        self
    }

    /// Options of one method, named `package.Service/Method`, over those of the client.
    pub fn method(mut self, method: impl Into<String>, options: CallOptions) -> Self {
        self.methods.push((method.into(), options));
        self
    }

    /// How connections are kept.
    pub const fn pool(mut self, pool: PoolOptions) -> Self {
        self.pool = Some(pool);
        self
    }

    /// Sends all calls through a proxy; [`Proxy::from_env`] reads go-micro's environment. An address is checked by
    /// [`build`](Self::build), if that is called on a runtime.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = proxy;
        self
    }

    /// How many bytes of request streams all calls of the client together keep for retries; 64 MiB unless set.
    pub fn replay_memory(mut self, bytes: usize) -> Self {
        self.memory = Arc::new(ReplayMemory::new(bytes));
        self
    }

    /// Reads from a compiled descriptor set (`FileDescriptorSet`, what `protoc --descriptor_set_out` and `protox` write) which methods
    /// are streams, and which are idempotent by their `idempotency_level`. Options given by [`method`](Self::method) win.
    pub fn descriptors(mut self, set: impl Into<Bytes>) -> Self {
        self.descriptors.push(set.into());
        self
    }

    /// Connects with something else than plaintext over TCP.
    pub fn connect<N: Connect>(self, connect: N) -> ClientBuilder<W, C, N> {
        self.with(|wrap_client, wrap_call, _| (wrap_client, wrap_call, connect))
    }

    /// Adds a client wrapper inside of those that are there: go-micro's `client.Wrap`. First added is outermost.
    pub fn wrap<L>(mut self, layer: L) -> ClientBuilder<Stack<L, W>, C, K> {
        self.client_names.extend(names_of::<L>());
        self.with(|outer, wrap_call, connect| (Stack::new(layer, outer), wrap_call, connect))
    }

    /// Adds client wrappers outside of those that are there: go-micro's `micro.WrapClient`. The first of a tuple is outermost.
    pub fn wrap_client<L>(mut self, layers: L) -> ClientBuilder<Stack<W, L>, C, K> {
        self.client_names.splice(0..0, names_of::<L>());
        self.with(|inner, wrap_call, connect| (Stack::new(inner, layers), wrap_call, connect))
    }

    /// Adds call wrappers inside of those that are there: go-micro's `WrapCall`. The first of a tuple is outermost.
    pub fn wrap_call<L>(mut self, layers: L) -> ClientBuilder<W, Stack<L, C>, K> {
        self.call_names.extend(names_of::<L>());
        self.with(|wrap_client, outer, connect| (wrap_client, Stack::new(layers, outer), connect))
    }

    /// Forgets the types of the wrappers, so that the builder can be kept in a variable while wrappers are added in a loop.
    ///
    /// Costs a box per call and a box per attempt.
    pub fn erased(self) -> ClientBuilder<ErasedLayer, ErasedLayer, K>
    where
        W: Layer<ErasedService, Service: WrappedService<Body>> + Send + Sync + 'static,
        C: Layer<ErasedService, Service: WrappedService<Body>> + Send + Sync + 'static,
    {
        self.with(|client, call, connect| {
            (ErasedLayer::new(client), ErasedLayer::new(call), connect)
        })
    }

    fn with<W2, C2, K2>(
        self,
        change: impl FnOnce(W, C, K) -> (W2, C2, K2),
    ) -> ClientBuilder<W2, C2, K2> {
        let (wrap_client, wrap_call, connect) =
            change(self.wrap_client, self.wrap_call, self.connect);
        ClientBuilder {
            nodes: self.nodes,
            cache: self.cache,
            health: self.health,
            slow_start: self.slow_start,
            preset: self.preset,
            options: self.options,
            methods: self.methods,
            pool: self.pool,
            proxy: self.proxy,
            memory: self.memory,
            descriptors: self.descriptors,
            connect,
            wrap_client,
            wrap_call,
            client_names: self.client_names,
            call_names: self.call_names,
        }
    }

    /// Checks the settings and makes the client.
    ///
    /// # Errors
    /// [`BuildError`] if no call could succeed with them.
    pub fn build(self) -> Result<Client, BuildError>
    where
        K: Connect,
        C: Layer<Attempt<K>, Service: WrappedService<Body>> + Send + Sync + 'static,
        W: Layer<Call<C::Service>, Service: WrappedService<Body>> + Send + Sync + 'static,
    {
        self.connect.check()?;
        check_proxy(&self.proxy, &self.connect)?;
        let settings = self.settings()?;
        let parts = Parts {
            settings: Arc::clone(&settings),
            selector: self.nodes()?,
            proxy: self.proxy,
            memory: self.memory,
            connect: Arc::new(self.connect),
        };
        let onion = Onion::new(stack::table(&self.client_names, &self.call_names));
        let (client, call) = (self.wrap_client, self.wrap_call);
        let make = move |service: ServiceName| {
            let stack = stack::assemble(&parts, service.clone(), &client, &call);
            Channel::new(service, stack)
        };
        Ok(Client::new(settings, onion, Box::new(make)))
    }

    fn nodes(&self) -> Result<Arc<dyn Selector>, BuildError> {
        let asks = self.health.is_some() || self.slow_start.is_some();
        match self.nodes.as_ref().ok_or(BuildError::NoRegistry)? {
            Nodes::Selector(_) if asks => Err(BuildError::HealthOfSelector),
            Nodes::Selector(_) if self.cache.is_some() => Err(BuildError::CacheOfSelector),
            Nodes::Selector(selector) => Ok(Arc::clone(selector)),
            Nodes::Registry(registry) => {
                let health = self.health.clone();
                let health = health.unwrap_or_else(|| self.preset.health());
                if let Health::Outlier(outlier) = &health {
                    outlier.check()?;
                }
                let selector = RegistrySelector::new(self.cached(registry)?, spawn)
                    .with_clock(|| Instant::now().into_std())
                    .with_health(health)
                    .with_slow_start(self.slow_start.unwrap_or_default());
                Ok(Arc::new(selector))
            }
        }
    }

    /// A registry whose watches go on when it fails.
    fn cached(&self, registry: &Arc<dyn Registry>) -> Result<Arc<dyn Registry>, BuildError> {
        let registry = Arc::clone(registry);
        match (registry.keeps_watching(), self.cache) {
            (true, Some(_)) => Err(BuildError::CacheOfCache),
            (true, None) => Ok(registry),
            (false, options) => {
                let options = options.unwrap_or_default();
                Ok(Arc::new(Cache::with_options(registry, options)))
            }
        }
    }

    fn settings(&self) -> Result<Arc<ArcSwap<Settings>>, BuildError> {
        let mut settings = Settings::new(self.preset);
        settings.options(self.options.clone());
        for set in &self.descriptors {
            for (method, options) in descriptors::read(set)? {
                settings.method(method, options);
            }
        }
        for (method, options) in &self.methods {
            settings.method(method, options.clone());
        }
        if let Some(pool) = self.pool {
            settings.set_pool(pool);
        }
        settings.check()?;
        Ok(Arc::new(ArcSwap::from_pointee(settings)))
    }
}

/// A proxy that stands in for every service must be one, if it is no address.
fn check_proxy(proxy: &Proxy, connect: &impl Connect) -> Result<(), BuildError> {
    let way = proxy.resolve("any", &[]);
    if let Some(address) = way.addresses.first() {
        return check_address(address, connect);
    }
    let given = way.service.to_owned();
    match ServiceName::new(way.service) {
        Ok(_) => Ok(()),
        Err(reason) => Err(BuildError::Proxy { given, reason }),
    }
}

/// Which addresses can be dialled is for the connections to say, which are not opened for it.
fn check_address(address: &str, connect: &impl Connect) -> Result<(), BuildError> {
    // One may need a task, as tonic's does: without a runtime the first call tells.
    if Handle::try_current().is_err() {
        return Ok(());
    }
    let made = connect.connect(&Candidate::at(address), None);
    made.map(drop).map_err(|error| BuildError::ProxyAddress {
        given: without_user(address).into_owned(),
        reason: error.text().to_owned(),
    })
}

impl<W, C, K: fmt::Debug> fmt::Debug for ClientBuilder<W, C, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("preset", &self.preset)
            .field("nodes", &self.nodes)
            .field("health", &self.health)
            .field("connect", &self.connect)
            .field("wrap_client", &self.client_names)
            .field("wrap_call", &self.call_names)
            .finish_non_exhaustive()
    }
}
