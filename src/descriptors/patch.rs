//! Changes of a message by its fields' names.
//!
//! Merging sets what is written and leaves the rest: a message field by field, a map entry by entry. Of a list, an item
//! whose `name` is there already is merged with that one, and others are added; a map in the place of a list speaks of
//! items that are there, by name or by position. A packed message of the same type is merged too, one of another type
//! replaced.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value as Field};
use serde_json::{Map, Value};

use super::{
    ANY, canonical, field, is_well_known, message_of_url,
    paths::{self, Step, name_of, position},
    pool, read, with_field,
};

/// Why a change cannot be made: a sentence without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub String);

/// A message, encoded, with what is written merged into it.
pub fn merge(message: &str, body: &[u8], value: &Value) -> Result<Vec<u8>, Refused> {
    let mut message = decode(message, body)?;
    let Value::Object(fields) = value else { return Err(Refused("what is merged is no map of fields".into())) };
    merge_fields(&mut message, fields)?;
    Ok(canonical::encode(&message))
}

/// A message, encoded, without a field, an item or an entry. It must be there.
pub fn remove(message: &str, body: &[u8], path: &str) -> Result<Vec<u8>, Refused> {
    let mut message = decode(message, body)?;
    let steps = paths::parse(path).ok_or_else(|| Refused(format!("`{path}` is no path of a field")))?;
    remove_at(&mut message, &steps)?;
    Ok(canonical::encode(&message))
}

fn decode(message: &str, body: &[u8]) -> Result<DynamicMessage, Refused> {
    let unknown = || Refused(format!("there is no message `{message}`"));
    let descriptor = pool().get_message_by_name(message).ok_or_else(unknown)?;
    DynamicMessage::decode(descriptor, body).map_err(|error| Refused(error.to_string()))
}

fn merge_fields(message: &mut DynamicMessage, fields: &Map<String, Value>) -> Result<(), Refused> {
    let descriptor = message.descriptor();
    for (key, value) in fields {
        let field = field(&descriptor, key)
            .ok_or_else(|| Refused(format!("`{key}` is no field of {}", descriptor.full_name())))?;
        let merged = match (field.kind(), value) {
            (Kind::Message(entry), Value::Object(entries)) if field.is_map() => {
                merge_entries(message, &field, &entry.map_entry_value_field(), entries)?
            }
            (Kind::Message(_), Value::Object(items)) if field.is_list() => address_items(message, &field, items)?,
            (Kind::Message(_), Value::Array(items)) if field.is_list() => add_items(message, &field, items)?,
            (_, Value::Array(items)) if field.is_list() => {
                let mut present = message.get_field(&field).as_list().unwrap_or_default().to_vec();
                let new = converted(&descriptor, &field, Value::Array(items.clone()))?;
                present.extend(new.as_list().unwrap_or_default().iter().cloned());
                Field::List(present)
            }
            (Kind::Message(inner), value) if !field.is_list() && !field.is_map() => {
                let present = message.has_field(&field).then(|| message.get_field(&field).into_owned());
                let present = present.as_ref().and_then(Field::as_message).cloned();
                Field::Message(merged(present, &inner, value)?)
            }
            (_, value) => converted(&descriptor, &field, value.clone())?,
        };
        message.set_field(&field, merged);
    }
    Ok(())
}

/// A value as a field has it.
fn converted(message: &MessageDescriptor, field: &FieldDescriptor, value: Value) -> Result<Field, Refused> {
    let read = with_field(message, field, value).map_err(Refused)?;
    Ok(read.get_field(field).into_owned())
}

fn merged(
    present: Option<DynamicMessage>,
    message: &MessageDescriptor,
    value: &Value,
) -> Result<DynamicMessage, Refused> {
    match value {
        Value::Object(fields) if message.full_name() == ANY => {
            let url = fields.get("@type").and_then(Value::as_str).unwrap_or_default();
            let same = present.filter(|present| type_url(present).is_some_and(|found| found == url));
            match (same, message_of_url(url)) {
                (Some(any), Some(packed)) if !is_well_known(&packed) => {
                    let mut rest = fields.clone();
                    rest.remove("@type");
                    let mut content = unpacked(&any)?;
                    merge_fields(&mut content, &rest)?;
                    Ok(repacked(any, &content))
                }
                _ => read(message, value).map_err(Refused),
            }
        }
        Value::Object(fields) if !is_well_known(message) => {
            let mut merged = present.unwrap_or_else(|| DynamicMessage::new(message.clone()));
            merge_fields(&mut merged, fields)?;
            Ok(merged)
        }
        value => read(message, value).map_err(Refused),
    }
}

fn merge_entries(
    message: &DynamicMessage,
    field: &FieldDescriptor,
    of_values: &FieldDescriptor,
    entries: &Map<String, Value>,
) -> Result<Field, Refused> {
    let mut present = message.get_field(field).as_map().cloned().unwrap_or_default();
    for (key, value) in entries {
        // The key as the map has it, whatever type that is; the value is read beside it, or merged below.
        let placeholder = match of_values.kind() {
            Kind::Message(inner) if !is_well_known(&inner) && inner.full_name() != ANY => Value::Object(Map::new()),
            _ => value.clone(),
        };
        let entry = Value::Object(Map::from_iter([(key.clone(), placeholder)]));
        let read = converted(&message.descriptor(), field, entry)?;
        for (key, new) in read.as_map().cloned().unwrap_or_default() {
            let value = match of_values.kind() {
                Kind::Message(inner) => {
                    let old = present.get(&key).and_then(Field::as_message).cloned();
                    Field::Message(merged(old, &inner, value)?)
                }
                _ => new,
            };
            present.insert(key, value);
        }
    }
    Ok(Field::Map(present))
}

/// Merges into items that are there, each by its name or position.
fn address_items(
    message: &DynamicMessage,
    field: &FieldDescriptor,
    items: &Map<String, Value>,
) -> Result<Field, Refused> {
    let mut present = message.get_field(field).as_list().unwrap_or_default().to_vec();
    for (item, value) in items {
        let at = position(&present, item).ok_or_else(|| no_item(field, item, &present))?;
        present[at] = merge_item(&present[at], field, value)?;
    }
    Ok(Field::List(present))
}

/// Merges into the items of equal name, and adds the others.
fn add_items(message: &DynamicMessage, field: &FieldDescriptor, items: &[Value]) -> Result<Field, Refused> {
    let mut present = message.get_field(field).as_list().unwrap_or_default().to_vec();
    for value in items {
        let name = value.get("name").and_then(Value::as_str);
        let same = name.and_then(|name| present.iter().position(|item| name_of(item) == Some(name)));
        if let Some(at) = same {
            present[at] = merge_item(&present[at], field, value)?;
            continue;
        }
        let Kind::Message(item) = field.kind() else { continue };
        let new = Field::Message(merged(None, &item, value)?);
        // Of filters the last one has to end the chain: it is the router, or the proxy.
        let at = if ENDED_BY_THEIR_LAST.contains(&item.full_name()) {
            present.len().saturating_sub(1)
        } else {
            present.len()
        };
        present.insert(at, new);
    }
    Ok(Field::List(present))
}

/// Lists of these have a last item that Envoy wants last.
const ENDED_BY_THEIR_LAST: [&str; 2] =
    ["envoy.config.listener.v3.Filter", "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter"];

fn merge_item(item: &Field, field: &FieldDescriptor, value: &Value) -> Result<Field, Refused> {
    match field.kind() {
        Kind::Message(descriptor) => Ok(Field::Message(merged(item.as_message().cloned(), &descriptor, value)?)),
        _ => Err(Refused(format!("the items of `{}` have no fields", field.name()))),
    }
}

fn no_item(field: &FieldDescriptor, item: &str, present: &[Field]) -> Refused {
    let names: Vec<&str> = present.iter().filter_map(name_of).collect();
    let there = match (names.is_empty(), present.len()) {
        (false, _) => format!("there are {}", names.join(", ")),
        (true, count) => format!("it has {count}"),
    };
    Refused(format!("`{}` has no item `{item}`; {there}", field.name()))
}

fn remove_at(message: &mut DynamicMessage, steps: &[Step]) -> Result<(), Refused> {
    let [Step::Field(name), rest @ ..] = steps else { return Err(Refused("a path begins with a field".into())) };
    if message.descriptor().full_name() == ANY {
        let mut content = unpacked(message)?;
        remove_at(&mut content, steps)?;
        *message = repacked(message.clone(), &content);
        return Ok(());
    }
    let descriptor = message.descriptor();
    let field = field(&descriptor, name)
        .ok_or_else(|| Refused(format!("`{name}` is no field of {}", descriptor.full_name())))?;
    if !message.has_field(&field) {
        return Err(Refused(format!("`{name}` is not set")));
    }
    match (rest, message.get_field(&field).into_owned()) {
        ([], _) => message.clear_field(&field),
        ([Step::Item(item), below @ ..], Field::List(mut items)) => {
            let at = position(&items, item).ok_or_else(|| no_item(&field, item, &items))?;
            match (below, items[at].as_message_mut()) {
                ([], _) => drop(items.remove(at)),
                (below, Some(inner)) => remove_at(inner, below)?,
                (_, None) => return Err(Refused(format!("the items of `{name}` have no fields"))),
            }
            message.set_field(&field, Field::List(items));
        }
        ([Step::Item(item), below @ ..], Field::Map(mut entries)) => {
            let key = entries.keys().find(|key| key.as_str() == Some(item)).cloned();
            let key = key.ok_or_else(|| Refused(format!("`{name}` has no entry `{item}`")))?;
            match (below, entries.get_mut(&key).and_then(Field::as_message_mut)) {
                ([], _) => drop(entries.remove(&key)),
                (below, Some(inner)) => remove_at(inner, below)?,
                (_, None) => return Err(Refused(format!("the entries of `{name}` have no fields"))),
            }
            message.set_field(&field, Field::Map(entries));
        }
        (below, Field::Message(mut inner)) => {
            remove_at(&mut inner, below)?;
            message.set_field(&field, Field::Message(inner));
        }
        _ => return Err(Refused(format!("`{name}` has nothing below it"))),
    }
    Ok(())
}

fn type_url(any: &DynamicMessage) -> Option<String> {
    any.get_field_by_name("type_url").and_then(|url| url.as_str().map(ToOwned::to_owned))
}

fn unpacked(any: &DynamicMessage) -> Result<DynamicMessage, Refused> {
    let url = type_url(any).unwrap_or_default();
    let unknown = || Refused(format!("`{url}` is no type that is known here"));
    let descriptor = message_of_url(&url).ok_or_else(unknown)?;
    let bytes = any.get_field_by_name("value").and_then(|value| value.as_bytes().cloned()).unwrap_or_default();
    DynamicMessage::decode(descriptor, bytes).map_err(|error| Refused(error.to_string()))
}

fn repacked(mut any: DynamicMessage, content: &DynamicMessage) -> DynamicMessage {
    any.set_field_by_name("value", Field::Bytes(canonical::encode(content).into()));
    any
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use serde_json::json;

    use super::*;
    use crate::{
        descriptors::names,
        proto::envoy::config::{
            cluster::v3::Cluster,
            core::v3::Metadata,
            listener::v3::{Filter, FilterChain, Listener},
        },
    };

    fn filters(listener: &[u8]) -> Vec<String> {
        let listener = Listener::decode(listener).expect("a listener");
        listener.filter_chains.iter().flat_map(|chain| &chain.filters).map(|filter| filter.name.clone()).collect()
    }

    #[test]
    fn what_is_written_is_set_and_the_rest_left() {
        let cluster = Cluster { name: "a".into(), alt_stat_name: "b".into(), ..Default::default() };
        let body = cluster.encode_to_vec();
        let merged = merge(names::CLUSTER, &body, &json!({ "connect_timeout": "3s", "altStatName": "" }));
        let merged = Cluster::decode(merged.expect("it merges").as_slice()).expect("a cluster");
        let seconds = merged.connect_timeout.as_ref().map(|timeout| timeout.seconds);
        assert_eq!((merged.name.as_str(), merged.alt_stat_name.as_str(), seconds), ("a", "", Some(3)));
        assert_eq!(
            remove(names::CLUSTER, &body, "connect_timeout"),
            Err(Refused("`connect_timeout` is not set".into()))
        );
        let without = remove(names::CLUSTER, &body, "alt_stat_name").expect("it is set");
        assert_eq!(Cluster::decode(without.as_slice()).map(|cluster| cluster.alt_stat_name), Ok(String::new()));
    }

    #[test]
    fn filters_come_before_the_one_that_ends_the_chain() {
        let last = Filter { name: "last".into(), ..Default::default() };
        let chain = FilterChain { filters: vec![last], ..Default::default() };
        let body = Listener { filter_chains: vec![chain], ..Default::default() }.encode_to_vec();
        let more = json!({ "filter_chains": { "[0]": { "filters": [ { "name": "first" }, { "name": "second" } ] } } });
        let merged = merge(names::LISTENER, &body, &more).expect("it merges");
        assert_eq!(filters(&merged), ["first", "second", "last"]);
        let again = merge(names::LISTENER, &merged, &more).expect("it merges");
        assert_eq!(again, merged, "items of one name are one item");
        let less = remove(names::LISTENER, &merged, "filter_chains[0].filters[second]").expect("it is there");
        assert_eq!(filters(&less), ["first", "last"]);
        assert!(merge(names::LISTENER, &body, &json!({ "filter_chains": { "[1]": {} } })).is_err());
    }

    /// The maps that patches pass through have no order; what comes out has.
    #[test]
    fn equal_content_has_equal_bytes() {
        let keys: Vec<String> = (0..40).map(|key| format!("key{key}")).collect();
        let metadata = Metadata {
            filter_metadata: keys.iter().map(|key| (key.clone(), Default::default())).collect(),
            ..Default::default()
        };
        let cluster = Cluster { metadata: Some(metadata), alt_stat_name: "x".into(), ..Default::default() };
        let plain = Cluster { alt_stat_name: String::new(), ..cluster.clone() };
        let without = || remove(names::CLUSTER, &cluster.encode_to_vec(), "alt_stat_name").expect("it is set");
        let first = without();
        assert_eq!(Cluster::decode(first.as_slice()), Ok(plain));
        assert!((0..10).all(|_| without() == first));
    }
}
