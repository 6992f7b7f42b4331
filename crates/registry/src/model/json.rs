//! Go's habits in JSON: a nil map, list or pointer is `null`, and `null` may stand for anything.

use serde::{Deserialize, Deserializer};

pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

pub(super) fn list<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let items: Option<Vec<Option<T>>> = Option::deserialize(from)?;
    Ok(items.into_iter().flatten().flatten().collect())
}

pub(super) mod map {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::Metadata;

    pub(in crate::model) fn serialize<S: Serializer>(
        map: &Metadata,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        (!map.is_empty()).then_some(map).serialize(to)
    }

    pub(in crate::model) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Metadata, D::Error> {
        let map: Option<BTreeMap<String, Option<String>>> = Option::deserialize(from)?;
        let entries = map.into_iter().flatten();
        Ok(entries
            .map(|(key, value)| (key, value.unwrap_or_default()))
            .collect())
    }
}

pub(super) mod leaf {
    use serde::{Serialize, Serializer};

    use crate::Value;

    pub(in crate::model) use super::list as deserialize;

    pub(in crate::model) fn serialize<S: Serializer>(
        values: &[Value],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        (!values.is_empty()).then_some(values).serialize(to)
    }
}
