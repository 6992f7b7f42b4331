use std::{mem, sync::Arc};

use tower_micro_registry::ServiceName;
use tower_micro_selector::Picker;

use super::Deadline;
use crate::{CallOptions, Dialect, Error};

/// What all attempts of a call have in common.
#[derive(Clone, Debug, Default)]
pub struct Common {
    pub(super) options: Option<Arc<CallOptions>>,
    pub(super) deadline: Option<Deadline>,
    pub(super) service: Option<ServiceName>,
    pub(super) picker: Option<Picker>,
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

    /// Adds to an error what is known of the call.
    pub fn explain(&self, error: Error) -> Error {
        match self.service() {
            Some(service) => error.with_service(service),
            None => error,
        }
    }
}

/// While layers settle a call its notes are its own; then attempts share them, with one reference each.
#[derive(Clone, Debug)]
pub(super) enum Held {
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
    pub(super) fn own(&mut self) -> &mut Common {
        if let Self::Shared(shared) = self {
            *self = Self::Own(Common::clone(shared));
        }
        match self {
            Self::Own(own) => own,
            Self::Shared(_) => unreachable!("made its own above"),
        }
    }

    #[inline]
    pub(super) fn shared(&mut self) -> &Arc<Common> {
        if let Self::Own(own) = self {
            *self = Self::Shared(Arc::new(mem::take(own)));
        }
        match self {
            Self::Shared(shared) => shared,
            Self::Own(_) => unreachable!("shared above"),
        }
    }
}
