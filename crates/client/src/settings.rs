//! What can be changed while a client runs: go-micro's `Init`.

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::uri::PathAndQuery;
use tower_micro_call::{CallOptions, Hedge};
use tower_micro_selector::Handles;

use crate::{BuildError, Preset};

/// How many connections a node gets, and for how long (go-micro `client/grpc/options.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolOptions {
    /// The most connections to one node, for each service; at least 1.
    pub size: usize,
    /// The age at which a connection takes no new call, longer than zero; `None` for as long as it works.
    pub ttl: Option<Duration>,
    /// Calls on a connection before another one is opened; at least 1.
    pub max_streams: usize,
    /// Connections to one node that are kept though no call is on them.
    pub max_idle: usize,
    /// Calls on the only connection for a service before it gets a second one; `None` for never sooner than `max_streams`. A server reads
    /// a connection with one task, so a service of several nodes is called in parallel already, and one of a single node is not.
    pub second_at: Option<usize>,
}

impl Default for PoolOptions {
    /// Those of `Preset::Standard`.
    fn default() -> Self {
        Preset::Standard.pool()
    }
}

/// Options of a client and of its methods.
///
/// Changed through [`Client::configure`](crate::Client::configure); a call sees one state of them, never half of a change.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Of the preset, with the client's over them.
    client: Handles<CallOptions>,
    /// By path, without the leading slash, merged over the client's.
    methods: HashMap<String, Method>,
    pool: PoolOptions,
}

#[derive(Clone, Debug)]
struct Method {
    own: CallOptions,
    merged: Handles<CallOptions>,
}

impl Settings {
    /// Those of `preset`.
    pub fn new(preset: Preset) -> Self {
        Self {
            client: Handles::new(preset.options()),
            methods: HashMap::new(),
            pool: preset.pool(),
        }
    }

    /// Lays `options` over those of the client.
    pub fn options(&mut self, options: CallOptions) -> &mut Self {
        let client = self.client.merged(options);
        for method in self.methods.values_mut() {
            method.merged = Handles::new(client.merged(method.own.clone()));
        }
        self.client = Handles::new(client);
        self
    }

    /// Lays `options` over those of the client for one method, named `package.Service/Method`.
    pub fn method(&mut self, method: impl Into<String>, options: CallOptions) -> &mut Self {
        let name = method.into();
        let own = match self.methods.remove(&name) {
            Some(known) => known.own.merged(options),
            None => options,
        };
        let merged = Handles::new(self.client.merged(own.clone()));
        self.methods.insert(name, Method { own, merged });
        self
    }

    /// Replaces how connections are kept.
    pub fn set_pool(&mut self, pool: PoolOptions) -> &mut Self {
        self.pool = pool;
        self
    }

    /// How connections are kept.
    pub const fn pool(&self) -> &PoolOptions {
        &self.pool
    }

    /// The options of a call to `path`.
    #[inline]
    pub(crate) fn of_method(&self, path: &str) -> &Arc<CallOptions> {
        if self.methods.is_empty() {
            return self.client.mine();
        }
        let method = self.methods.get(path.trim_start_matches('/'));
        method.map_or(&self.client, |method| &method.merged).mine()
    }

    /// Finds settings that cannot work.
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        let pool = self.pool;
        let is_empty = pool.size == 0 || pool.max_streams == 0 || pool.second_at == Some(0);
        if is_empty || pool.ttl == Some(Duration::ZERO) {
            return Err(BuildError::EmptyPool);
        }
        check_options("the client", &self.client, self.client.get_retries())?;
        for (name, method) in &self.methods {
            check_name(name)?;
            check_options(name, &method.own, method.merged.get_retries())?;
        }
        Ok(())
    }
}

/// Looks at what `of` was `asked`, where so many `retries` follow from that and from what it is laid over.
fn check_options(of: &str, asked: &CallOptions, retries: Option<u32>) -> Result<(), BuildError> {
    check_times(of, [("timeout", asked.get_timeout())])?;
    check_attempts(of, asked, retries)
}

/// The same for one request over the options of its client. That it has no time is another matter: its caller may be late.
pub(crate) fn check_request(asked: &CallOptions, over: &CallOptions) -> Result<(), BuildError> {
    let retries = asked.get_retries().or(over.get_retries());
    check_attempts("the request", asked, retries)
}

fn check_attempts(of: &str, asked: &CallOptions, retries: Option<u32>) -> Result<(), BuildError> {
    let times = [
        ("attempt_timeout", asked.get_attempt_timeout()),
        ("connect_timeout", asked.get_connect_timeout()),
    ];
    check_times(of, times)?;
    if asked.get_max_in_flight() == Some(0) {
        return Err(BuildError::NothingInFlight { of: of.to_owned() });
    }
    match asked.get_hedge() {
        Some(hedge) => check_hedge(of, hedge, retries),
        None => Ok(()),
    }
}

fn check_times<const N: usize>(
    of: &str,
    times: [(&'static str, Option<Duration>); N],
) -> Result<(), BuildError> {
    let mut times = times.into_iter();
    match times.find(|(_, time)| *time == Some(Duration::ZERO)) {
        Some((option, _)) => Err(BuildError::ZeroTime {
            of: of.to_owned(),
            option,
        }),
        None => Ok(()),
    }
}

/// A method without retries in a client that hedges is one that is not hedged.
fn check_hedge(of: &str, hedge: &Hedge, retries: Option<u32>) -> Result<(), BuildError> {
    let of = || of.to_owned();
    if let Some(share) = hedge.share().filter(|share| !(0.0..=1.0).contains(share)) {
        let (of, given) = (of(), share.to_string());
        return Err(BuildError::Share { of, given });
    }
    match retries {
        Some(0) => Err(BuildError::HedgeWithoutRetries { of: of() }),
        _ => Ok(()),
    }
}

fn check_name(method: &str) -> Result<(), BuildError> {
    match method.split('/').collect::<Vec<_>>()[..] {
        [service, name] if !service.is_empty() && !name.is_empty() && is_path(method) => Ok(()),
        _ => Err(BuildError::Method {
            given: method.to_owned(),
        }),
    }
}

/// Whether a request's path can be it. An asterisk would stand for several methods, which nothing here does.
fn is_path(method: &str) -> bool {
    let path = PathAndQuery::try_from(format!("/{method}"));
    path.is_ok_and(|path| path.path().len() == method.len() + 1) && !method.contains('*')
}
