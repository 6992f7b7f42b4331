//! Everything about a call that can be chosen.
//!
//! Every field is optional. Five sources are merged, each over the one before: preset, client, method, what the caller's own caller
//! asked for ([`Ambient`](crate::Ambient)), and the request.
//!
//! # Example
//! ```
//! use std::time::Duration;
//! use tower_micro_call::CallOptions;
//!
//! let client = CallOptions::new().timeout(Duration::from_secs(2)).retries(3);
//! let request = CallOptions::new().retries(0).idempotent(true);
//! let merged = client.merged(request);
//! assert_eq!(merged.get_retries(), Some(0));
//! assert_eq!(merged.get_timeout(), Some(Duration::from_secs(2)));
//! ```

use std::{fmt, sync::Arc, time::Duration};

use tower_micro_selector::{Filter, HashKey, SelectOptions, Strategy};

use crate::{Backoff, Budget, CallWrapper, Dialect, Hedge, Metadata, RetryPolicy};

/// What go-micro calls `CallOptions`. See the [module docs](self).
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    dialect: Option<Dialect>,
    timeout: Option<Duration>,
    attempt_timeout: Option<Duration>,
    connect_timeout: Option<Duration>,
    max_in_flight: Option<u32>,
    retries: Option<u32>,
    retry: Option<Arc<dyn RetryPolicy>>,
    backoff: Option<Arc<dyn Backoff>>,
    budget: Option<Arc<dyn Budget>>,
    hedge: Option<Hedge>,
    select: SelectOptions,
    /// Whether the one among the selector's options was chosen.
    avoid_tried: Option<bool>,
    addresses: Option<Vec<String>>,
    call_wrappers: Vec<Arc<dyn CallWrapper>>,
    metadata: Metadata,
    /// Keys that are to be taken out of what these options are laid over, with empty values.
    taken_out: Metadata,
    idempotent: Option<bool>,
    streaming: Option<bool>,
    stream_timeout: Option<Duration>,
    wait_for_ready: Option<bool>,
    replay_limit: Option<usize>,
    retry_within_retry: Option<bool>,
    report: Option<bool>,
}

/// A scalar field: a setter that consumes, and a getter.
macro_rules! scalar {
    ($(#[$docs:meta])* $name:ident, $get:ident: $type:ty) => {
        $(#[$docs])*
        #[must_use]
        pub fn $name(mut self, $name: $type) -> Self {
            self.$name = Some($name);
            self
        }

        #[doc = concat!("What [`", stringify!($name), "`](Self::", stringify!($name), ") was set to.")]
        #[inline]
        pub const fn $get(&self) -> Option<$type> {
            self.$name
        }
    };
}

impl CallOptions {
    /// Nothing chosen.
    pub fn new() -> Self {
        Self::default()
    }

    scalar! {
        /// Whose words errors are told in. A preset sets it.
        dialect, get_dialect: Dialect
    }
    scalar! {
        /// The time for the whole call: selection, backoff and all attempts (go-micro's `RequestTimeout`).
        timeout, get_timeout: Duration
    }
    scalar! {
        /// The time for one attempt, of a stream until its answer begins. It never outlives the call.
        attempt_timeout, get_attempt_timeout: Duration
    }
    scalar! {
        /// The time in which a connection is opened (go-micro's `DialTimeout`). A dial has that of the call that begins it; calls that
        /// join it wait as long. Leave it well below [`timeout`](Self::timeout), or no time is left for another node.
        connect_timeout, get_connect_timeout: Duration
    }
    scalar! {
        /// How many attempts of this client may be under way at one node. One more is refused with RESOURCE_EXHAUSTED before it is sent,
        /// and goes to another node if it may be repeated. Attempts that begin in the same instant may overlook one another.
        max_in_flight, get_max_in_flight: u32
    }
    scalar! {
        /// How many attempts may follow the first one.
        retries, get_retries: u32
    }
    scalar! {
        /// Whether doing the call twice is as good as doing it once, so that it may be retried when nobody can tell whether a node
        /// has acted on it.
        idempotent, get_idempotent: bool
    }
    scalar! {
        /// Whether the method is a stream on either side: such a call has no default timeout, and is retried until it is open.
        /// `false` says that one message is answered by one: such a call is judged by its trailers too. Unset, it is taken for a
        /// call, and judged by its headers and by what comes with them.
        streaming, get_streaming: bool
    }
    scalar! {
        /// What a stream's server is told in go-micro's `timeout` header (go-micro's `StreamTimeout`); the client does not hold the
        /// stream to it.
        stream_timeout, get_stream_timeout: Duration
    }
    scalar! {
        /// Whether a call waits for a node that can be connected to, instead of failing when there is none (gRPC's wait-for-ready).
        /// It waits until its deadline; without one, for ever. Its nodes are those of the moment at which there were some.
        wait_for_ready, get_wait_for_ready: bool
    }
    scalar! {
        /// How many bytes of a request stream are kept so that it can be sent again; 64 KiB if unset. With 0 it can be as long as nothing
        /// of it was read. The client's whole memory for this is bounded too.
        replay_limit, get_replay_limit: usize
    }
    scalar! {
        /// Whether a call made while a server serves a retry is retried itself. If not, retries do not multiply at that hop; the server behind it sees a first attempt.
        retry_within_retry, get_retry_within_retry: bool
    }
    scalar! {
        /// Whether the response carries a [`CallReport`](crate::CallReport).
        report, get_report: bool
    }

    /// Whether a failed attempt is followed by another.
    #[must_use]
    pub fn retry(mut self, policy: impl RetryPolicy + 'static) -> Self {
        self.retry = Some(Arc::new(policy));
        self
    }

    /// How long to wait before an attempt.
    #[must_use]
    pub fn backoff(mut self, backoff: impl Backoff + 'static) -> Self {
        self.backoff = Some(Arc::new(backoff));
        self
    }

    /// How many retries all calls that share this budget may make.
    #[must_use]
    pub fn budget(mut self, budget: Arc<dyn Budget>) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Sends an idempotent call that is not answered to another node beside the first.
    #[must_use]
    pub fn hedge(mut self, hedge: Hedge) -> Self {
        self.hedge = Some(hedge);
        self
    }

    /// Adds a filter; all of them must let a node pass (go-micro's `WithFilter`).
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.select.filters.push(filter);
        self
    }

    /// Who chooses among the nodes (go-micro's `WithStrategy`).
    #[must_use]
    pub fn strategy(mut self, strategy: impl Strategy + 'static) -> Self {
        self.select.strategy = Some(Arc::new(strategy));
        self
    }

    /// Whether a retry prefers nodes that this call has not tried.
    #[must_use]
    pub fn avoid_tried(mut self, avoid: bool) -> Self {
        self.avoid_tried = Some(avoid);
        self.select.avoid_tried = avoid;
        self
    }

    /// What [`RingHash`](tower_micro_selector::RingHash) hashes: calls of one key go to one node. A number, or text such as the name of
    /// a user.
    ///
    /// ```
    /// use tower_micro_call::{CallOptions, RequestExt};
    /// use tower_micro_selector::RingHash;
    ///
    /// let client = CallOptions::new().strategy(RingHash); // ClientBuilder::options
    /// let request = tonic::Request::new(()).with_options(CallOptions::new().hash_key("alice"));
    /// # let _ = (client, request);
    /// ```
    #[must_use]
    pub fn hash_key(mut self, key: impl Into<HashKey>) -> Self {
        self.select.hash_key = Some(key.into().into());
        self
    }

    /// Goes to these addresses instead of asking the selector (go-micro's `WithAddress`); each is `host:port`. go-micro's dialects
    /// use the first only. An empty list asks the selector again. What other calls do there is not known: each counts its own attempts
    /// alone, for [`max_in_flight`](Self::max_in_flight) and for a strategy that looks at them.
    #[must_use]
    pub fn address<A: Into<String>>(mut self, addresses: impl IntoIterator<Item = A>) -> Self {
        self.addresses = Some(addresses.into_iter().map(Into::into).collect());
        self
    }

    /// Adds a wrapper around each attempt, inside of all that are there (go-micro's `WithCallWrapper`).
    #[must_use]
    pub fn call_wrapper(mut self, wrapper: impl CallWrapper + 'static) -> Self {
        self.call_wrappers.push(Arc::new(wrapper));
        self
    }

    /// Adds metadata; a key that is there is replaced, or taken out if the new value is empty: here, and in the options that these are
    /// laid over.
    #[must_use]
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.taken_out.take_note(&metadata);
        self.metadata.join(&metadata);
        self
    }

    /// The predicate.
    #[inline]
    pub fn get_retry(&self) -> Option<&Arc<dyn RetryPolicy>> {
        self.retry.as_ref()
    }

    /// The backoff.
    #[inline]
    pub fn get_backoff(&self) -> Option<&Arc<dyn Backoff>> {
        self.backoff.as_ref()
    }

    /// The budget.
    #[inline]
    pub fn get_budget(&self) -> Option<&Arc<dyn Budget>> {
        self.budget.as_ref()
    }

    /// How soon a call is sent beside the first.
    #[inline]
    pub const fn get_hedge(&self) -> Option<&Hedge> {
        self.hedge.as_ref()
    }

    /// What the selector is asked for.
    #[inline]
    pub const fn get_select(&self) -> &SelectOptions {
        &self.select
    }

    /// The addresses that replace the selector's.
    #[inline]
    pub fn get_addresses(&self) -> &[String] {
        self.addresses.as_deref().unwrap_or_default()
    }

    /// The wrappers, outermost first.
    #[inline]
    pub fn get_call_wrappers(&self) -> &[Arc<dyn CallWrapper>] {
        &self.call_wrappers
    }

    /// The metadata.
    #[inline]
    pub const fn get_metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The dialect, gRPC's if none was chosen.
    #[inline]
    pub fn spoken(&self) -> Dialect {
        self.dialect.unwrap_or_default()
    }

    /// These options with `over` laid over them: what `over` leaves open stays, filters and wrappers come after the ones here,
    /// metadata is joined.
    #[must_use]
    pub fn merged(&self, over: Self) -> Self {
        let (metadata, taken_out) = self.joined(&over);
        let avoid_tried = over.avoid_tried.or(self.avoid_tried);
        let mut filters = self.select.filters.clone();
        filters.extend(over.select.filters);
        let mut call_wrappers = self.call_wrappers.clone();
        call_wrappers.extend(over.call_wrappers);
        Self {
            dialect: over.dialect.or(self.dialect),
            timeout: over.timeout.or(self.timeout),
            attempt_timeout: over.attempt_timeout.or(self.attempt_timeout),
            connect_timeout: over.connect_timeout.or(self.connect_timeout),
            max_in_flight: over.max_in_flight.or(self.max_in_flight),
            retries: over.retries.or(self.retries),
            retry: over.retry.or_else(|| self.retry.clone()),
            backoff: over.backoff.or_else(|| self.backoff.clone()),
            budget: over.budget.or_else(|| self.budget.clone()),
            hedge: over.hedge.or_else(|| self.hedge.clone()),
            select: SelectOptions {
                filters,
                strategy: over
                    .select
                    .strategy
                    .or_else(|| self.select.strategy.clone()),
                avoid_tried: avoid_tried.unwrap_or_default(),
                hash_key: over.select.hash_key.or(self.select.hash_key),
            },
            avoid_tried,
            addresses: over.addresses.or_else(|| self.addresses.clone()),
            call_wrappers,
            metadata,
            taken_out,
            idempotent: over.idempotent.or(self.idempotent),
            streaming: over.streaming.or(self.streaming),
            stream_timeout: over.stream_timeout.or(self.stream_timeout),
            wait_for_ready: over.wait_for_ready.or(self.wait_for_ready),
            replay_limit: over.replay_limit.or(self.replay_limit),
            retry_within_retry: over.retry_within_retry.or(self.retry_within_retry),
            report: over.report.or(self.report),
        }
    }

    /// The metadata with that of `over` laid over it, and what both take out.
    fn joined(&self, over: &Self) -> (Metadata, Metadata) {
        let (mut metadata, mut taken_out) = (self.metadata.clone(), self.taken_out.clone());
        for laid in [&over.taken_out, &over.metadata] {
            taken_out.take_note(laid);
            metadata.join(laid);
        }
        (metadata, taken_out)
    }
}

impl fmt::Debug for dyn CallWrapper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallWrapper")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(tenant: &str) -> CallOptions {
        let mut metadata = Metadata::new();
        metadata.insert("x-tenant", tenant).unwrap();
        CallOptions::new().metadata(metadata)
    }

    #[test]
    fn what_the_request_leaves_open_comes_from_the_client() {
        let client = CallOptions::new().retries(4).idempotent(true);
        let merged = client.merged(CallOptions::new().timeout(Duration::from_secs(1)));
        assert_eq!(merged.get_retries(), Some(4));
        assert_eq!(merged.get_timeout(), Some(Duration::from_secs(1)));
        assert_eq!(merged.get_idempotent(), Some(true));
    }

    #[test]
    fn filters_of_both_apply_and_the_last_strategy_stands() {
        let client = CallOptions::new()
            .filter(Filter::version("1"))
            .strategy(tower_micro_selector::Random);
        let merged = client.merged(
            CallOptions::new()
                .filter(Filter::label("zone", "a"))
                .strategy(tower_micro_selector::P2c),
        );
        assert_eq!(merged.get_select().filters.len(), 2);
        let strategy = merged.get_select().strategy.as_ref().unwrap();
        assert_eq!(strategy.name(), tower_micro_selector::P2c.name());
    }

    #[test]
    fn an_address_list_replaces_the_one_before() {
        let client = CallOptions::new().address(["a:1", "b:2"]);
        let merged = client.merged(CallOptions::new().address(["c:3"]));
        assert_eq!(merged.get_addresses(), ["c:3"]);
        assert_eq!(
            client.merged(CallOptions::new()).get_addresses(),
            ["a:1", "b:2"]
        );
        let selecting = CallOptions::new().address([] as [&str; 0]);
        assert!(client.merged(selecting).get_addresses().is_empty());
    }

    #[test]
    fn metadata_of_the_request_wins_over_the_clients() {
        let merged = with("one").merged(with("two"));
        assert_eq!(merged.get_metadata().get("X-Tenant"), Some("two"));
    }

    #[test]
    fn what_the_request_switches_off_is_off() {
        let client = CallOptions::new().avoid_tried(true);
        let merged = client.merged(CallOptions::new().avoid_tried(false));
        assert!(!merged.get_select().avoid_tried);
        assert!(client.merged(CallOptions::new()).get_select().avoid_tried);
    }

    #[test]
    fn an_empty_value_of_the_request_takes_out_the_clients() {
        let merged = with("one").merged(with(""));
        assert_eq!(merged.get_metadata().get("X-Tenant"), None);
        let merged = with("one").merged(CallOptions::new().merged(with("")));
        assert_eq!(merged.get_metadata().get("X-Tenant"), None);
    }

    #[test]
    fn metadata_that_came_as_sensitive_stays_so() {
        let mut secret = http::HeaderValue::from_static("s3cret");
        secret.set_sensitive(true);
        let inbound = [(http::HeaderName::from_static("x-plain"), secret)];
        let metadata = Metadata::from_headers(&inbound.into_iter().collect());
        let merged = CallOptions::new().merged(CallOptions::new().metadata(metadata));
        let mut headers = http::HeaderMap::new();
        merged.get_metadata().write_to(&mut headers);
        assert!(headers["x-plain"].is_sensitive());
        assert!(!format!("{merged:?}").contains("s3cret"));
    }
}
