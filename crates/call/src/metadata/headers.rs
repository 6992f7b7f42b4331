//! Between metadata and headers.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{Entry as Slot, GetAll},
};

use super::{Entry, Metadata, names::is_ambient};

impl Metadata {
    /// What came with a request, as far as it may go on with the calls that follow.
    ///
    /// Several values of a name become one, joined by `, ` (go-micro v2 `server/grpc/grpc.go`). Left out are names of
    /// gRPC and HTTP (`grpc-…`, `content-type`, `te`, `user-agent`, `connection`, `host`, …), `timeout` and
    /// `x-content-type`, which belong to one call, binary headers (`-bin`), and what is not printable ASCII.
    ///
    /// ```
    /// use http::HeaderMap;
    /// use tower_micro_call::metadata::Metadata;
    ///
    /// let mut headers = HeaderMap::new();
    /// headers.append("foo", "bar".parse()?);
    /// headers.append("foo", "baz".parse()?);
    /// headers.append("timeout", "5000000000".parse()?);
    /// assert!(Metadata::from_headers(&headers).iter().eq([("Foo", "bar, baz")]));
    /// # Ok::<(), http::header::InvalidHeaderValue>(())
    /// ```
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let entries = headers
            .keys()
            .filter(|name| is_ambient(name.as_str()))
            .filter_map(|name| inbound(name, headers))
            .collect();
        Self { entries }
    }

    /// Adds every entry to `headers` that is not there yet: what the request says itself counts.
    pub fn write_to(&self, headers: &mut HeaderMap) {
        if self.is_empty() {
            return;
        }
        headers.reserve(self.len());
        for entry in &self.entries {
            if let Slot::Vacant(slot) = headers.entry(entry.name()) {
                slot.insert(entry.header().clone());
            }
        }
    }
}

fn inbound(name: &HeaderName, headers: &HeaderMap) -> Option<Entry> {
    let values = headers.get_all(name);
    let mut one_by_one = values.iter();
    match (one_by_one.next(), one_by_one.next()) {
        (Some(only), None) => Entry::inbound(name, only),
        _ => Entry::inbound(name, &joined(&values)?),
    }
}

/// A secret among them makes a secret of the whole.
fn joined(values: &GetAll<'_, HeaderValue>) -> Option<HeaderValue> {
    let texts: Result<Vec<_>, _> = values.iter().map(HeaderValue::to_str).collect();
    let mut joined = HeaderValue::from_str(&texts.ok()?.join(", ")).ok()?;
    joined.set_sensitive(values.iter().any(HeaderValue::is_sensitive));
    Some(joined)
}
