//! Resources as proto3 JSON: proto field names, `Any` expanded with `@type`, the same text for the same bytes.

use prost_reflect::{DynamicMessage, SerializeOptions};
use serde_json::{Map, Value, json};

use super::{Resource, ResourceType, Snapshot};
use crate::descriptors;

/// One resource.
pub fn to_json(resource_type: ResourceType, resource: &Resource) -> Value {
    let full_name = resource_type.type_url().rsplit('/').next().unwrap_or_default();
    let message = descriptors::pool().get_message_by_name(full_name).and_then(|descriptor| {
        let message = DynamicMessage::decode(descriptor, resource.body()).ok()?;
        let options = SerializeOptions::new().use_proto_field_name(true);
        message.serialize_with_options(serde_json::value::Serializer, &options).ok()
    });
    // A resource is built only by encoding one of these messages, so this is never seen.
    message.unwrap_or_else(|| json!({ "name": resource.name().as_str(), "error": "cannot be shown" }))
}

impl Snapshot {
    /// All resources: an object keyed by type, each a list sorted by name.
    pub fn to_json(&self) -> Value {
        let mut types: Map<String, Value> = self
            .sets()
            .iter()
            .map(|(resource_type, set)| {
                let resources = set.iter().map(|resource| to_json(resource_type, resource)).collect();
                (resource_type.plural().to_owned(), Value::Array(resources))
            })
            .collect();
        types.entry("secrets").or_insert_with(|| Value::Array(Vec::new()));
        Value::Object(types)
    }
}
