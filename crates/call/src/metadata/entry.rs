//! One key and its value, ready to be sent.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use http::{HeaderName, HeaderValue};

use super::{
    InvalidMetadata,
    names::{is_binary, is_grpc_name, is_printable, is_reserved, is_secret},
    title_case,
};

/// A key and its value, made into a header once, however many attempts will send it.
#[derive(Clone)]
pub(super) struct Entry {
    key: String,
    name: HeaderName,
    header: HeaderValue,
    /// What the header is the base64 of, if the key ends in `-bin`.
    binary: Option<String>,
}

impl Entry {
    pub(super) fn new(key: &str, value: &str) -> Result<Self, InvalidMetadata> {
        let name = header_name(key)?;
        if is_binary(name.as_str()) {
            let header = header_value(key, &STANDARD_NO_PAD.encode(value))?;
            return Ok(Self::with(name, key, header, Some(value.to_owned())));
        }
        let header = header_value(key, value)?;
        Ok(Self::with(name, key, header, None))
    }

    /// A header as it came, or `None` if it cannot be metadata.
    pub(super) fn inbound(name: &HeaderName, value: &HeaderValue) -> Option<Self> {
        is_printable(value.as_bytes())
            .then(|| Self::with(name.clone(), name.as_str(), value.clone(), None))
    }

    fn with(name: HeaderName, key: &str, mut header: HeaderValue, binary: Option<String>) -> Self {
        header.set_sensitive(header.is_sensitive() || is_secret(name.as_str()));
        Self {
            key: title_case(key),
            name,
            header,
            binary,
        }
    }

    pub(super) fn is_called(&self, key: &str) -> bool {
        self.name.as_str().eq_ignore_ascii_case(key)
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn value(&self) -> &str {
        self.binary.as_deref().unwrap_or_else(|| {
            self.header
                .to_str()
                .expect("every value was found printable when its entry was made")
        })
    }

    /// The value, if anybody may see it.
    pub(super) fn shown(&self) -> &str {
        if self.header.is_sensitive() {
            "<hidden>"
        } else {
            self.value()
        }
    }

    pub(super) const fn name(&self) -> &HeaderName {
        &self.name
    }

    pub(super) const fn header(&self) -> &HeaderValue {
        &self.header
    }
}

fn header_name(key: &str) -> Result<HeaderName, InvalidMetadata> {
    // Before the letters are looked at: `:path` shall hear that it is reserved, not that a colon is no letter.
    if is_reserved(&key.to_ascii_lowercase()) {
        return Err(InvalidMetadata::Reserved {
            key: key.to_owned(),
        });
    }
    HeaderName::from_bytes(key.as_bytes())
        .ok()
        .filter(|name| is_grpc_name(name.as_str()))
        .ok_or_else(|| InvalidMetadata::Name {
            key: key.to_owned(),
        })
}

fn header_value(key: &str, value: &str) -> Result<HeaderValue, InvalidMetadata> {
    Some(value)
        .filter(|value| is_printable(value.as_bytes()))
        .and_then(|value| HeaderValue::from_str(value).ok())
        .ok_or_else(|| InvalidMetadata::Value {
            key: key.to_owned(),
        })
}
