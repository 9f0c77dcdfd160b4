//! Resources as proto3 JSON: proto field names, `Any` expanded with `@type`, the same text for the same bytes.

use std::{collections::HashSet, ops::Range};

use prost_reflect::{DynamicMessage, SerializeOptions};
use serde_json::{Map, Value, json};

use super::{Resource, ResourceType, Snapshot, virtual_hosts};
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

/// Two contents of one resource, `Null` where there is none. Of routes that are there on both sides only the virtual
/// hosts that differ are shown: there may be thousands of them.
pub fn differing_json(resource_type: ResourceType, a: Option<&Resource>, b: Option<&Resource>) -> (Value, Value) {
    if let (ResourceType::Route, Some(a), Some(b)) = (resource_type, a, b)
        && let (Some(from), Some(to)) = (virtual_hosts::ranges(a), virtual_hosts::ranges(b))
    {
        let pruned = |resource: &Resource, own: &[Range<usize>], of: &Resource, other: &[Range<usize>]| {
            let body = of.body();
            let there: HashSet<&[u8]> = other.iter().map(|range| &body[range.clone()]).collect();
            let own_body = resource.body();
            let (mut kept, mut end) = (Vec::new(), 0);
            for range in own {
                kept.extend_from_slice(&own_body[end..range.start]);
                if !there.contains(&own_body[range.clone()]) {
                    kept.extend_from_slice(&own_body[range.clone()]);
                }
                end = range.end;
            }
            kept.extend_from_slice(&own_body[end..]);
            to_json(resource_type, &Resource::from_body(resource_type, resource.name().clone(), &kept))
        };
        return (pruned(a, &from, b, &to), pruned(b, &to, a, &from));
    }
    let json = |resource: Option<&Resource>| resource.map_or(Value::Null, |resource| to_json(resource_type, resource));
    (json(a), json(b))
}

impl Snapshot {
    /// All resources: an object keyed by type, each a list sorted by name.
    pub fn to_json(&self) -> Value {
        let types: Map<String, Value> = self
            .sets()
            .iter()
            .map(|(resource_type, set)| {
                let resources = set.iter().map(|resource| to_json(resource_type, resource)).collect();
                (resource_type.plural().to_owned(), Value::Array(resources))
            })
            .collect();
        Value::Object(types)
    }
}
