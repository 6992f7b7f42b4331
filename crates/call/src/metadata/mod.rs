//! What a call says about itself besides its message: go-micro's metadata.
//!
//! Key and value, both text, in the order in which they came. Keys are shown as go-micro shows them, title-cased
//! (`X-Request-Id`), and are the same in any case; on the wire each becomes a lower-case header. What cannot be a
//! header is refused on the way in, so that a call never fails for it on the way out.
//!
//! # What the caller sees
//! A handler reads what came with the request ([`Metadata::from_headers`]); what it leaves as ambient metadata goes
//! out again with the calls it makes ([`Metadata::write_to`]), behind whatever the call says itself.
//!
//! # Units and defaults
//! Empty. Values are printable ASCII; a value whose key ends in `-bin` is any text, and travels as base64. Values of
//! keys that look secret (`…authorization`, `…cookie`, `…token`, `…-key`, `…_key`, `…credentials`, `…password…`, `…secret…`) are
//! hidden from `Debug` and marked sensitive on the wire, which keeps them out of compression tables.
//!
//! # Errors
//! [`InvalidMetadata`], which names the key and says what to change. It never shows the value.
//!
//! # Example
//!
//! ```
//! use http::HeaderMap;
//! use tower_micro_call::metadata::Metadata;
//!
//! let mut metadata = Metadata::new();
//! metadata.insert("x-request-id", "7")?;
//! assert_eq!(metadata.get("X-REQUEST-ID"), Some("7"));
//! assert_eq!(metadata.iter().next(), Some(("X-Request-Id", "7")));
//!
//! let mut headers = HeaderMap::new();
//! metadata.write_to(&mut headers);
//! assert_eq!(headers["x-request-id"], "7");
//! # Ok::<(), tower_micro_call::metadata::InvalidMetadata>(())
//! ```
//!
//! # Differences from go-micro
//! Two keys that differ only in case are one here. There both stay, and which of them reaches the wire is left to
//! chance.
//!
//! # Not here
//! Binary headers that came with a request, and tonic's own `MetadataMap`, which a call can carry besides.

mod entry;
mod error;
mod headers;
mod names;
mod title;

use std::fmt;

use self::entry::Entry;
pub use self::{error::InvalidMetadata, title::title_case};

/// Text that travels with a call. See the [module docs](self) for an example.
#[derive(Clone, Default)]
pub struct Metadata {
    entries: Vec<Entry>,
}

impl Metadata {
    /// No metadata.
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    /// Sets `key` to `value`. A key that was there, in any case, keeps its place and takes the new case.
    ///
    /// # Errors
    /// [`InvalidMetadata`] if the key cannot be a header or is reserved, or if the value is not printable ASCII. Then
    /// nothing has changed.
    pub fn insert(&mut self, key: &str, value: &str) -> Result<(), InvalidMetadata> {
        self.put(Entry::new(key, value)?);
        Ok(())
    }

    /// The value of `key`, in any case.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries
            .iter()
            .find(|entry| entry.is_called(key))
            .map(Entry::value)
    }

    /// Takes `key` out, in any case, and gives the value it had.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        let at = self.position(key)?;
        Some(self.entries.remove(at).value().to_owned())
    }

    /// Keys, title-cased, and values, in the order in which they came.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .map(|entry| (entry.key(), entry.value()))
    }

    /// How many keys there are.
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds `patch` (go-micro v2 `metadata.MergeContext`).
    ///
    /// Without `overwrite`, a key that is there stays as it is. With it, the patch wins, and an empty value takes the
    /// key out. An empty value never adds a key.
    ///
    /// ```
    /// use tower_micro_call::metadata::Metadata;
    ///
    /// let mut metadata = Metadata::new();
    /// metadata.merge([("Topic", "a"), ("Trace", "1")], true)?;
    /// metadata.merge([("topic", "b")], false)?;
    /// metadata.merge([("trace", "")], true)?;
    /// assert!(metadata.iter().eq([("Topic", "a")]));
    /// # Ok::<(), tower_micro_call::metadata::InvalidMetadata>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidMetadata`] for the first entry that [`insert`](Self::insert) would refuse. Then nothing has changed.
    pub fn merge<K, V>(
        &mut self,
        patch: impl IntoIterator<Item = (K, V)>,
        overwrite: bool,
    ) -> Result<(), InvalidMetadata>
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        let patch: Vec<_> = patch
            .into_iter()
            .map(|(key, value)| Entry::new(key.as_ref(), value.as_ref()))
            .collect::<Result<_, _>>()?;
        for entry in patch {
            self.merge_entry(entry, overwrite);
        }
        Ok(())
    }

    /// Lays `patch` over what is there, as [`merge`](Self::merge) does with `overwrite`.
    pub(crate) fn join(&mut self, patch: &Self) {
        for entry in &patch.entries {
            self.merge_entry(entry.clone(), true);
        }
    }

    /// Keeps in mind which keys `patch` takes out, and forgets those that it sets.
    pub(crate) fn take_note(&mut self, patch: &Self) {
        for entry in &patch.entries {
            match self.position(entry.key()) {
                None if entry.value().is_empty() => self.entries.push(entry.clone()),
                Some(at) if !entry.value().is_empty() => drop(self.entries.remove(at)),
                _ => {}
            }
        }
    }

    fn merge_entry(&mut self, entry: Entry, overwrite: bool) {
        let present = self.position(entry.key());
        if present.is_some() && !overwrite {
            return;
        }
        if !entry.value().is_empty() {
            self.put(entry);
        } else if let Some(at) = present {
            self.entries.remove(at);
        }
    }

    fn put(&mut self, entry: Entry) {
        match self.position(entry.key()) {
            Some(at) => self.entries[at] = entry,
            None => self.entries.push(entry),
        }
    }

    fn position(&self, key: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.is_called(key))
    }
}

/// The same keys, in any case and order, with the same values.
impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self
                .iter()
                .all(|(key, value)| other.get(key) == Some(value))
    }
}

impl Eq for Metadata {}

impl fmt::Debug for Metadata {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_map()
            .entries(
                self.entries
                    .iter()
                    .map(|entry| (entry.key(), entry.shown())),
            )
            .finish()
    }
}

#[cfg(test)]
mod tests;
