//! A message as bytes, the same for the same content: `prost_reflect` keeps maps in no order, and equal resources must
//! have equal bytes.

use std::collections::HashMap;

use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint},
};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage, Value};

use super::{ANY, message_of_url};

/// Fields by number, entries of maps by key, also inside of what is packed.
pub(super) fn encode(message: &DynamicMessage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut fields: Vec<(FieldDescriptor, &Value)> = message.fields().collect();
    fields.sort_by_key(|(field, _)| field.number());
    for (field, value) in fields {
        match value {
            Value::Message(inner) if !field.is_group() => put(&mut bytes, &field, &encode(inner)),
            Value::List(items) if matches!(field.kind(), Kind::Message(_)) => {
                for inner in items.iter().filter_map(Value::as_message) {
                    put(&mut bytes, &field, &encode(inner));
                }
            }
            Value::Map(entries) => put_entries(&mut bytes, &field, entries),
            Value::Bytes(packed) if message.descriptor().full_name() == ANY => {
                put(&mut bytes, &field, &repacked(message, packed));
            }
            other => {
                let mut alone = DynamicMessage::new(message.descriptor());
                alone.set_field(&field, other.clone());
                bytes.extend(alone.encode_to_vec());
            }
        }
    }
    bytes
}

fn put(bytes: &mut Vec<u8>, field: &FieldDescriptor, content: &[u8]) {
    encode_key(field.number(), WireType::LengthDelimited, bytes);
    encode_varint(content.len() as u64, bytes);
    bytes.extend_from_slice(content);
}

fn put_entries(bytes: &mut Vec<u8>, field: &FieldDescriptor, entries: &HashMap<MapKey, Value>) {
    let Kind::Message(entry) = field.kind() else { return };
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_by_key(|(key, _)| *key);
    for (key, value) in sorted {
        let mut message = DynamicMessage::new(entry.clone());
        message.set_field(&entry.map_entry_key_field(), key.clone().into());
        message.set_field(&entry.map_entry_value_field(), value.clone());
        put(bytes, field, &encode(&message));
    }
}

/// What an `Any` packs; of a type that is not known, as it is.
fn repacked(any: &DynamicMessage, packed: &[u8]) -> Vec<u8> {
    let url = any.get_field_by_name("type_url");
    let descriptor = url.as_deref().and_then(Value::as_str).and_then(message_of_url);
    let content = descriptor.and_then(|descriptor| DynamicMessage::decode(descriptor, packed).ok());
    content.map_or_else(|| packed.to_vec(), |content| encode(&content))
}
