//! A map whose keys stand once: the fast JSON path would else let the last of two win in silence.

use std::{borrow::Cow, collections::BTreeMap, fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

/// An ordered map that refuses a key that stands twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueMap<K, V>(pub BTreeMap<K, V>);

impl<K, V> Default for UniqueMap<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: serde::Serialize, V: serde::Serialize> serde::Serialize for UniqueMap<K, V> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, K: Deserialize<'de> + Ord + fmt::Display, V: Deserialize<'de>> Deserialize<'de> for UniqueMap<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<K, V>(PhantomData<(K, V)>);

        impl<'de, K: Deserialize<'de> + Ord + fmt::Display, V: Deserialize<'de>> Visitor<'de> for Entries<K, V> {
            type Value = BTreeMap<K, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut map = BTreeMap::new();
                while let Some(key) = entries.next_key::<K>()? {
                    if map.contains_key(&key) {
                        return Err(serde::de::Error::custom(format_args!("`{key}` stands twice")));
                    }
                    map.insert(key, entries.next_value()?);
                }
                Ok(map)
            }
        }

        deserializer.deserialize_map(Entries(PhantomData)).map(Self)
    }
}

/// Keys are texts, whatever they are read into.
impl<K, V: JsonSchema> JsonSchema for UniqueMap<K, V> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Map_of_{}", V::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut values = generator.subschema_for::<V>().to_value();
        // A text is read as written, quoted or not: `version: 1.10` is one.
        if values["type"] == "string" {
            values["type"] = serde_json::json!(["string", "number", "boolean"]);
        }
        json_schema!({ "type": "object", "additionalProperties": values })
    }
}
