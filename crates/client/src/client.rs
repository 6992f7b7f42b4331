//! The client: where channels come from.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use tonic::Code;
use tower_layer::Identity;
use tower_micro_call::{Error, Kind};
use tower_micro_registry::{InvalidServiceName, ServiceName};

use crate::{BuildError, Channel, ClientBuilder, Onion, Settings, connect::H2};

/// A client: options, a selector, connections, and the wrappers around calls and attempts.
///
/// Cheap to clone; clones share everything.
///
/// # Runtimes
/// Building a client and its channels needs no runtime; a call needs Tokio's, with time and I/O, and ends with INTERNAL where there is
/// none. Connections, watches and what looks after them are tasks of the runtime whose call began them, and end with the client, or with
/// that runtime: calls on its connections break; those of other runtimes that wait for one of its dials, or for the first answer of the
/// registry, and those that come later, begin anew in theirs. So the runtime of the first call to a node has to be driven, or to end, while
/// others call that node too: one that is there and is not driven, such as one of a single thread between two `block_on`, holds up
/// their calls on its connections until their deadlines, and no ping finds it out. Give such a runtime a client of its own.
///
/// # Example
/// ```
/// use tower_micro_client::Client;
/// use tower_micro_registry::Static;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::builder()
///     .registry(Static::addresses("greeter", ["127.0.0.1:50051"])?)
///     .build()?;
/// let channel = client.channel("greeter"); // GreeterClient::new(channel)
/// println!("{}", client.onion());
/// # let _ = channel; Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Arc<ArcSwap<Settings>>,
    make: Box<dyn Fn(ServiceName) -> Channel + Send + Sync>,
    onion: Onion,
    channels: Mutex<HashMap<ServiceName, Channel>>,
    /// One change at a time, so that none is lost.
    changing: Mutex<()>,
}

impl Client {
    /// Starts from `Preset::Standard` and connections of our own, in plaintext.
    pub fn builder() -> ClientBuilder<Identity, Identity, H2> {
        ClientBuilder::new()
    }

    pub(crate) fn new(
        settings: Arc<ArcSwap<Settings>>,
        onion: Onion,
        make: Box<dyn Fn(ServiceName) -> Channel + Send + Sync>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                settings,
                make,
                onion,
                channels: Mutex::default(),
                changing: Mutex::default(),
            }),
        }
    }

    /// The nodes of `service`, as one channel. No I/O happens before the first call.
    ///
    /// A name that cannot be one ends every call with INVALID_ARGUMENT; [`try_channel`](Self::try_channel) says so at once.
    pub fn channel(&self, service: impl AsRef<str>) -> Channel {
        self.try_channel(service).unwrap_or_else(|invalid| {
            let text = invalid.to_string();
            Channel::refusing(Error::new(Kind::Request, Code::InvalidArgument, text))
        })
    }

    /// The nodes of `service`, as one channel.
    ///
    /// # Errors
    /// If `service` cannot be the name of one.
    pub fn try_channel(&self, service: impl AsRef<str>) -> Result<Channel, InvalidServiceName> {
        let service = ServiceName::new(service)?;
        let channels = self.shared.channels.lock();
        let mut channels = channels.unwrap_or_else(PoisonError::into_inner);
        let make = || (self.shared.make)(service.clone());
        Ok(channels.entry(service.clone()).or_insert_with(make).clone())
    }

    /// Changes options while calls are made: go-micro's `Init`. A call that has begun keeps the options it began with. `change` may use
    /// the client, but not configure it: another change waits for this one.
    ///
    /// # Errors
    /// If the changed settings cannot work; then nothing has changed.
    ///
    /// # Example
    /// ```
    /// # use tower_micro_client::{Client, PoolOptions};
    /// # use tower_micro_call::CallOptions;
    /// # fn change(client: &Client) -> Result<(), tower_micro_client::BuildError> {
    /// let options = CallOptions::new().retries(0);
    /// client.configure(|settings| {
    ///     settings.options(options);
    ///     settings.set_pool(PoolOptions { size: 2, ..*settings.pool() });
    /// })
    /// # }
    /// ```
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) -> Result<(), BuildError> {
        let _changing = self.shared.changing.lock();
        let mut settings = Settings::clone(&self.shared.settings.load());
        change(&mut settings);
        settings.check()?;
        self.shared.settings.store(Arc::new(settings));
        Ok(())
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        self.shared.settings.load_full()
    }

    /// The layers a call goes through, outermost first.
    pub fn onion(&self) -> &Onion {
        &self.shared.onion
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("settings", &self.settings())
            .field("onion", self.onion())
            .finish_non_exhaustive()
    }
}
