//! What the layers of one call tell each other.
//!
//! Layers never name one another. They leave typed notes with the request, on its [`Body`], where a look at them costs nothing; a layer
//! that stands over bodies of another type leaves them in one entry of the extensions, where they are found once the body is captured.
//! A note is admitted when one layer writes it and another reads it.
//!
//! | note | written by | read by |
//! |---|---|---|
//! | [`CallOptions`] | caller and client wrappers, then the options layer | every layer |
//! | the time | options; select and retry after a wait | attempt timeout, metadata |
//! | [`Deadline`] | options | select, deadline, retry, pick, attempt timeout, metadata, wrappers |
//! | [`ServiceName`] | the channel; select | wrappers, retry, pick |
//! | [`Picker`] | select | retry, pick |
//! | [`Attempt`] | retry; its time: attempt timeout | attempt timeout, wrappers; metadata |
//! | [`Candidate`] | pick, a call wrapper | call wrappers, transport |

use std::{any::Any, mem, sync::Arc, time::Duration};

use http::Request;
use tokio::time::Instant;
use tower_micro_registry::ServiceName;
use tower_micro_selector::{Candidate, Chosen, Picker};

use crate::{Body, CallOptions, Dialect, Error};

/// The point in time at which a call ends, whatever it is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    at: Instant,
    timeout: Duration,
}

impl Deadline {
    /// `timeout` from `now`. A timeout too long for the clock is cut to 30 years.
    #[inline]
    pub fn after(timeout: Duration, now: Instant) -> Self {
        const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
        let at = now.checked_add(timeout).unwrap_or_else(|| now + FAR);
        Self { at, timeout }
    }

    /// At `at`, the timeout being what is left of it `now`.
    #[inline]
    pub fn at(at: Instant, now: Instant) -> Self {
        let timeout = at.saturating_duration_since(now);
        Self { at, timeout }
    }

    /// When the call ends.
    #[inline]
    pub const fn instant(&self) -> Instant {
        self.at
    }

    /// The whole time the call was given. It stays the same over all attempts, as go-micro's `RequestTimeout` does.
    #[inline]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// When the call was given its time; `None` if that was longer than the clock goes.
    #[inline]
    pub fn began(&self) -> Option<Instant> {
        self.at.checked_sub(self.timeout)
    }

    /// What is left; zero when it has passed.
    #[inline]
    pub fn remaining(&self, now: Instant) -> Duration {
        self.at.saturating_duration_since(now)
    }

    /// Whether nothing is left.
    #[inline]
    pub fn has_passed(&self, now: Instant) -> bool {
        self.at <= now
    }
}

/// Which try of the call this is.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Attempt {
    /// Zero-based, as go-micro counts.
    pub number: u32,
    /// How many attempts may still follow this one; 0 if it is the last, whatever its end.
    pub left: u32,
    /// How the one before ended.
    pub previous: Option<Error>,
    /// The time this one has, if that is less than the call has left.
    pub timeout: Option<Duration>,
    /// Whether it is sent beside one that is under way.
    pub hedged: bool,
}

impl Attempt {
    /// Attempt `number`, after which `left` may follow.
    #[inline]
    pub const fn new(number: u32, left: u32) -> Self {
        Self {
            number,
            left,
            previous: None,
            timeout: None,
            hedged: false,
        }
    }

    /// Says that it is sent beside one that is under way.
    #[must_use]
    #[inline]
    pub const fn beside(mut self) -> Self {
        self.hedged = true;
        self
    }

    /// Adds how the one before ended.
    #[must_use]
    #[inline]
    pub fn after(mut self, previous: Option<Error>) -> Self {
        self.previous = previous;
        self
    }
}

/// What all attempts of a call have in common.
#[derive(Clone, Debug, Default)]
pub struct Common {
    options: Option<Arc<CallOptions>>,
    deadline: Option<Deadline>,
    service: Option<ServiceName>,
    picker: Option<Picker>,
}

impl From<Arc<CallOptions>> for Common {
    fn from(options: Arc<CallOptions>) -> Self {
        let options = Some(options);
        Self {
            options,
            ..Self::default()
        }
    }
}

impl Common {
    /// The options in force.
    #[inline]
    pub const fn options(&self) -> Option<&Arc<CallOptions>> {
        self.options.as_ref()
    }

    /// The dialect the options ask for; gRPC's where no layer has settled any.
    #[inline]
    pub fn dialect(&self) -> Dialect {
        self.options
            .as_ref()
            .map_or_else(Dialect::default, |options| options.spoken())
    }

    /// The deadline of the call.
    #[inline]
    pub const fn deadline(&self) -> Option<Deadline> {
        self.deadline
    }

    /// The service as the caller named it.
    #[inline]
    pub const fn service(&self) -> Option<&ServiceName> {
        self.service.as_ref()
    }

    /// go-micro's `next`.
    #[inline]
    pub const fn picker(&self) -> Option<&Picker> {
        self.picker.as_ref()
    }
}

/// All notes of a request. See the [module docs](self).
#[derive(Clone, Debug, Default)]
pub struct Notes {
    common: Held,
    clock: Option<Clock>,
    attempt: Attempt,
    node: Option<Chosen>,
}

/// The time as it was when a layer last read it, and what the call had left of its own.
#[derive(Clone, Copy, Debug)]
struct Clock {
    now: Instant,
    left: Option<Duration>,
}

/// While layers settle a call its notes are its own; then attempts share them, with one reference each.
#[derive(Clone, Debug)]
enum Held {
    Own(Common),
    Shared(Arc<Common>),
}

impl Default for Held {
    #[inline]
    fn default() -> Self {
        Self::Own(Common::default())
    }
}

impl Held {
    /// What others share stays as it is: a change makes a copy, whose picker still knows what the others tried.
    #[inline]
    fn own(&mut self) -> &mut Common {
        if let Self::Shared(shared) = self {
            *self = Self::Own(Common::clone(shared));
        }
        match self {
            Self::Own(own) => own,
            Self::Shared(_) => unreachable!("made its own above"),
        }
    }

    #[inline]
    fn shared(&mut self) -> &Arc<Common> {
        if let Self::Own(own) = self {
            *self = Self::Shared(Arc::new(mem::take(own)));
        }
        match self {
            Self::Shared(shared) => shared,
            Self::Own(_) => unreachable!("shared above"),
        }
    }
}

/// The body of `request`, if it is one that carries notes: which type it has is known when this is compiled.
#[inline]
fn carrier<B: 'static>(request: &Request<B>) -> Option<&Body> {
    let body: &dyn Any = request.body();
    body.downcast_ref()
}

#[inline]
fn carrier_mut<B: 'static>(request: &mut Request<B>) -> Option<&mut Body> {
    let body: &mut dyn Any = request.body_mut();
    body.downcast_mut()
}

/// The notes that layers left while the request had a body of another type.
#[cold]
fn beside<B>(request: &Request<B>) -> Option<&Notes> {
    request.extensions().get()
}

#[cold]
fn beside_mut<B>(request: &mut Request<B>) -> Option<&mut Notes> {
    request.extensions_mut().get_mut()
}

/// Moves them to a body that can carry them.
#[cold]
fn take_up<B: 'static>(request: &mut Request<B>) {
    let beside = request.extensions_mut().remove();
    if let Some(body) = carrier_mut(request) {
        *body.notes_mut() = beside;
    }
}

impl Notes {
    /// The notes of a request, if any layer has left some.
    #[inline]
    pub fn of<B: 'static>(request: &Request<B>) -> Option<&Self> {
        let carried = carrier(request).and_then(Body::notes);
        carried.or_else(|| beside(request))
    }

    /// The same, to be changed.
    #[inline]
    pub fn get_mut<B: 'static>(request: &mut Request<B>) -> Option<&mut Self> {
        if carrier(request).is_some_and(|body| body.notes().is_some()) {
            return carrier_mut(request)?.notes_mut().as_mut();
        }
        beside_mut(request)
    }

    /// The notes of a request, made if there are none.
    #[inline]
    pub fn of_mut<B: 'static>(request: &mut Request<B>) -> &mut Self {
        if carrier(request).is_none() {
            return request.extensions_mut().get_or_insert_default();
        }
        if carrier(request).is_some_and(|body| body.notes().is_none()) {
            take_up(request);
        }
        let body = carrier_mut(request).expect("it was there above");
        body.notes_mut().get_or_insert_default()
    }

    /// Those of a call that begins.
    #[inline]
    pub fn of_service(service: ServiceName) -> Self {
        let service = Some(service);
        let common = Common {
            service,
            ..Common::default()
        };
        Self {
            common: Held::Own(common),
            ..Self::default()
        }
    }

    /// Those of a further attempt of a call.
    #[inline]
    pub fn again(common: Arc<Common>, attempt: Attempt) -> Self {
        Self {
            common: Held::Shared(common),
            clock: None,
            attempt,
            node: None,
        }
    }

    /// What all attempts of the call have in common.
    #[inline]
    pub fn common(&self) -> &Common {
        match &self.common {
            Held::Own(own) => own,
            Held::Shared(shared) => shared,
        }
    }

    /// The same, to be kept.
    #[inline]
    pub fn share(&mut self) -> &Arc<Common> {
        self.common.shared()
    }

    /// The options in force.
    #[inline]
    pub fn options(&self) -> Option<&Arc<CallOptions>> {
        self.common().options()
    }

    /// The dialect the options ask for; gRPC's where no layer has settled any.
    #[inline]
    pub fn dialect(&self) -> Dialect {
        self.common().dialect()
    }

    /// The deadline of the call.
    #[inline]
    pub fn deadline(&self) -> Option<Deadline> {
        self.common().deadline()
    }

    /// The time, as it was when a layer last had to wait. Reading it costs less than asking the clock once more.
    #[inline]
    pub fn now(&self) -> Instant {
        self.clock.map_or_else(Instant::now, |clock| clock.now)
    }

    /// What is left of the call's time, at [`now`](Self::now); zero when it is over, `None` without a deadline.
    #[inline]
    pub fn time_left(&self) -> Option<Duration> {
        match self.clock {
            Some(clock) => clock.left,
            None => Some(self.deadline()?.remaining(Instant::now())),
        }
    }

    /// The service as the caller named it.
    #[inline]
    pub fn service(&self) -> Option<&ServiceName> {
        self.common().service()
    }

    /// go-micro's `next`.
    #[inline]
    pub fn picker(&self) -> Option<&Picker> {
        self.common().picker()
    }

    /// Which try this is.
    #[inline]
    pub const fn attempt(&self) -> &Attempt {
        &self.attempt
    }

    /// The node this attempt goes to.
    #[inline]
    pub fn node(&self) -> Option<&Arc<Candidate>> {
        self.node.as_ref()?.node(self.picker())
    }

    /// The same, as it was chosen.
    #[inline]
    pub(crate) const fn chosen(&self) -> Option<&Chosen> {
        self.node.as_ref()
    }

    /// Writes the options in force and the deadline that follows from them.
    #[inline]
    pub fn set_options(&mut self, options: Arc<CallOptions>, deadline: Option<Deadline>) {
        let common = self.common.own();
        common.options = Some(options);
        common.deadline = deadline;
        self.clock = None;
    }

    /// The same at `now`, the moment at which the deadline was given.
    #[inline]
    pub fn settle(&mut self, options: Arc<CallOptions>, deadline: Option<Deadline>, now: Instant) {
        self.set_options(options, deadline);
        let left = deadline.map(|deadline| deadline.timeout());
        self.clock = Some(Clock { now, left });
    }

    /// Writes what time it is.
    #[inline]
    pub fn set_now(&mut self, now: Instant) {
        let left = self.deadline().map(|deadline| deadline.remaining(now));
        self.clock = Some(Clock { now, left });
    }

    /// Writes the service as the caller named it.
    #[inline]
    pub fn set_service(&mut self, service: ServiceName) {
        self.common.own().service = Some(service);
    }

    /// Writes the set the call chooses from.
    #[inline]
    pub fn set_picker(&mut self, service: &ServiceName, picker: Picker) {
        let common = self.common.own();
        if common.service.as_ref() != Some(service) {
            common.service = Some(service.clone());
        }
        common.picker = Some(picker);
    }

    /// Writes which try this is, and forgets the node of the one before.
    #[inline]
    pub fn set_attempt(&mut self, attempt: Attempt) {
        self.attempt = attempt;
        self.node = None;
    }

    /// Writes how many attempts may follow this one.
    #[inline]
    pub fn set_attempts_left(&mut self, left: u32) {
        self.attempt.left = left;
    }

    /// Writes the time this attempt has.
    #[inline]
    pub fn set_attempt_timeout(&mut self, timeout: Option<Duration>) {
        self.attempt.timeout = timeout;
    }

    /// Writes the node. A call wrapper may put another one in its place; the mark still goes to the one that was picked.
    #[inline]
    pub fn set_node(&mut self, node: impl Into<Chosen>) {
        self.node = Some(node.into());
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tower_micro_selector::Random;

    use super::*;
    use crate::Replay;

    fn noted() -> Notes {
        let nodes = ["10.0.0.1:1", "10.0.0.2:1"].map(Candidate::at).to_vec();
        let mut notes = Notes::default();
        let picker = Picker::one_of(nodes, Arc::new(Random), true);
        notes.set_picker(&"greeter".parse().unwrap(), picker);
        notes
    }

    #[test]
    fn a_change_to_shared_notes_is_seen_by_nobody_else() {
        let mut notes = noted();
        let shared = Arc::clone(notes.share());
        notes.set_options(Arc::default(), None);
        assert!(notes.options().is_some());
        assert!(shared.options().is_none());
        assert_eq!(notes.service(), shared.service());
    }

    #[test]
    fn what_an_attempt_tried_is_known_to_notes_that_were_changed_since() {
        let mut notes = noted();
        let shared = Arc::clone(notes.share());
        let picker = |common: &Common| common.picker().cloned().unwrap();
        let first = picker(&shared).next().unwrap();
        notes.set_options(Arc::default(), None);
        let second = picker(notes.common()).next().unwrap();
        assert!(!Arc::ptr_eq(&first, &second));
    }

    fn request(payload: &'static [u8]) -> Request<Body> {
        Request::new(Bytes::from_static(payload).into())
    }

    #[test]
    fn notes_stay_with_a_body_that_takes_the_place_of_another() {
        let mut request = request(b"hello");
        *Notes::of_mut(&mut request) = noted();
        let request = request.map(|body| body.replaced_by(Bytes::from_static(b"hi")));
        assert!(Notes::of(&request).unwrap().picker().is_some());
        assert_eq!(format!("{:?}", request.body()), "Body(2 bytes)");
    }

    #[test]
    fn notes_stay_with_a_body_that_is_sent_twice() {
        let mut request = request(b"hello");
        *Notes::of_mut(&mut request) = noted();
        let again = Request::new(request.body().replay().unwrap());
        Notes::of_mut(&mut request).set_attempts_left(7);
        let notes = Notes::of(&again).unwrap();
        assert!(notes.picker().is_some());
        assert_eq!(notes.attempt().left, 0, "each has its own");
    }

    #[test]
    fn notes_that_were_left_with_another_body_are_taken_up() {
        let mut foreign = Request::new(tonic::body::Body::empty());
        assert!(Notes::of(&foreign).is_none());
        Notes::of_mut(&mut foreign).set_attempts_left(1);
        let mut captured = foreign.map(Replay::capture);
        assert_eq!(Notes::of(&captured).unwrap().attempt().left, 1);
        assert_eq!(Notes::get_mut(&mut captured).unwrap().attempt().left, 1);
        Notes::of_mut(&mut captured).set_attempts_left(2);
        assert_eq!(Notes::of(&captured).unwrap().attempt().left, 2);
        assert!(captured.extensions().get::<Notes>().is_none(), "moved");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_is_what_was_left_when_the_clock_was_read() {
        let second = Duration::from_secs(1);
        let mut notes = Notes::default();
        assert_eq!(notes.time_left(), None);
        let now = Instant::now();
        notes.settle(Arc::default(), Some(Deadline::after(2 * second, now)), now);
        tokio::time::advance(second).await;
        assert_eq!(notes.time_left(), Some(2 * second));
        notes.set_now(Instant::now());
        assert_eq!(notes.time_left(), Some(second));
        notes.set_options(Arc::default(), None);
        assert_eq!(notes.time_left(), None);
    }

    #[test]
    fn a_node_is_forgotten_with_its_attempt() {
        let mut notes = noted();
        notes.set_node(notes.picker().unwrap().choose().unwrap());
        assert!(notes.node().is_some());
        notes.set_attempt(Attempt::new(1, 0));
        assert!(notes.node().is_none());
    }
}
