use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tower_micro_registry::ServiceName;
use tower_micro_selector::Picker;
use triomphe::Arc;

use super::Deadline;
use crate::{CallOptions, Dialect, Error};

/// What all attempts of a call have in common. Clones are one and the same, for one reference each, until one of them is changed.
// The standard library's `Arc` has a second count, which each look for whether it is shared would have to lock.
#[derive(Clone, Debug, Default)]
pub struct Common(Arc<Told>);

/// What layers have said of a call.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) options: Option<std::sync::Arc<CallOptions>>,
    pub(super) deadline: Option<Deadline>,
    pub(super) service: Option<ServiceName>,
    pub(super) picker: Option<Picker>,
    inside: Inside,
}

/// Which attempts have come past their wrappers, a bit each; those past the 64th share the bits of the first. One that is lost to another
/// which comes past at the same moment is a time-out that is not held against its node.
#[derive(Debug, Default)]
struct Inside(AtomicU64);

impl Clone for Inside {
    fn clone(&self) -> Self {
        Self(AtomicU64::new(self.0.load(Relaxed)))
    }
}

const fn bit(attempt: u32) -> u64 {
    1 << (attempt % u64::BITS)
}

impl From<std::sync::Arc<CallOptions>> for Common {
    fn from(options: std::sync::Arc<CallOptions>) -> Self {
        let options = Some(options);
        Self(Arc::new(Told {
            options,
            ..Told::default()
        }))
    }
}

impl From<ServiceName> for Common {
    #[inline]
    fn from(service: ServiceName) -> Self {
        // Each field by itself, so that they are written where they stay.
        Self(Arc::new(Told {
            options: None,
            deadline: None,
            service: Some(service),
            picker: None,
            inside: Inside::default(),
        }))
    }
}

impl Common {
    /// The options in force.
    #[inline]
    pub fn options(&self) -> Option<&std::sync::Arc<CallOptions>> {
        self.0.options.as_ref()
    }

    /// The dialect the options ask for; gRPC's where no layer has settled any.
    #[inline]
    pub fn dialect(&self) -> Dialect {
        self.options()
            .map_or_else(Dialect::default, |options| options.spoken())
    }

    /// The deadline of the call.
    #[inline]
    pub fn deadline(&self) -> Option<Deadline> {
        self.0.deadline
    }

    /// The service as the caller named it.
    #[inline]
    pub fn service(&self) -> Option<&ServiceName> {
        self.0.service.as_ref()
    }

    /// go-micro's `next`.
    #[inline]
    pub fn picker(&self) -> Option<&Picker> {
        self.0.picker.as_ref()
    }

    /// The call wrappers around `attempt` have run what is inside of them: from now on it is the node that is waited for.
    #[inline]
    pub fn come_inside(&self, attempt: u32) {
        let Inside(bits) = &self.0.inside;
        bits.store(bits.load(Relaxed) | bit(attempt), Relaxed);
    }

    /// Whether they have.
    pub(crate) fn is_inside(&self, attempt: u32) -> bool {
        self.0.inside.0.load(Relaxed) & bit(attempt) != 0
    }

    /// Adds to an error what is known of the call.
    pub fn explain(&self, error: Error) -> Error {
        match self.service() {
            Some(service) => error.with_service(service),
            None => error,
        }
    }

    /// To be changed: what others share stays as it is, and this becomes a copy, whose picker still knows what the others tried.
    #[inline]
    pub(super) fn told(&mut self) -> &mut Told {
        Arc::make_mut(&mut self.0)
    }
}
