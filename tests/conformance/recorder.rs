//! What happened, in the order in which it did.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

/// Collects events. Clones share one list.
#[derive(Clone, Debug, Default)]
pub(super) struct Recorder(Arc<Mutex<Vec<Value>>>);

impl Recorder {
    pub(super) fn add(&self, event: Value) {
        let events = self.0.lock();
        events.unwrap_or_else(PoisonError::into_inner).push(event);
    }

    /// The events so far.
    pub(super) fn events(&self) -> Vec<Value> {
        let events = self.0.lock();
        events.unwrap_or_else(PoisonError::into_inner).clone()
    }
}
