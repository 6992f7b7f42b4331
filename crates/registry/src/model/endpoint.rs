//! What a service offers.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Keys, Metadata, json};

/// A method of a service, or in go-micro one of its subscribers.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Endpoint {
    /// `Greeter.Hello` in go-micro: the handler and its method.
    #[serde(deserialize_with = "json::text")]
    pub name: String,
    /// The shape of what it takes.
    pub request: Option<Value>,
    /// The shape of what it gives.
    pub response: Option<Value>,
    /// `stream: true` for a streaming method; `topic` and `subscriber: true` for a subscriber.
    #[serde(with = "json::map")]
    pub metadata: Metadata,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("name", &self.name)
            .field("request", &self.request)
            .field("response", &self.response)
            .field("metadata", &Keys(&self.metadata))
            .finish()
    }
}

impl Endpoint {
    /// An endpoint that tells nothing but its name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// Sets one metadata entry.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }
}

/// The shape of a message or of one of its fields. go-micro goes three levels deep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Value {
    /// The name of the type, or of the field.
    #[serde(deserialize_with = "json::text")]
    pub name: String,
    /// The Go type, such as `HelloRequest` or `string`. The JSON key is `type`.
    #[serde(rename = "type", deserialize_with = "json::text")]
    pub kind: String,
    /// Its fields. None is `null` in JSON, as go-micro writes it.
    #[serde(with = "json::leaf")]
    pub values: Vec<Value>,
}
