//! Two resources in proto3 JSON into the fields in which they differ.
//!
//! A list whose items have a `name` is compared by names, any other by position, with what is equal at both ends put
//! aside first: a route put in front is one difference, not one for each that moved. A message that is set or not is
//! told by its fields; an item that is there or not is one difference.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A field with two values; `Null` where it is not set.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldChange {
    /// `a.b[0].c`, `virtual_hosts[orders:80].routes[0]`, `map["a.b"]`.
    pub field: String,
    /// What it was.
    pub before: Value,
    /// What it is.
    pub after: Value,
}

/// Every field in which two values differ, in the order of their paths.
pub fn fields(before: &Value, after: &Value) -> Vec<FieldChange> {
    let mut found = Vec::new();
    compare(String::new(), before, after, &mut found);
    found
}

/// Takes out which documents shaped a route: what differs in that alone does not differ.
pub fn without_provenance(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let emptied = match fields.get_mut("metadata") {
                Some(Value::Object(metadata)) => {
                    if let Some(Value::Object(filters)) = metadata.get_mut("filter_metadata") {
                        filters.remove("chancery");
                        if filters.is_empty() {
                            metadata.remove("filter_metadata");
                        }
                    }
                    metadata.is_empty()
                }
                _ => false,
            };
            if emptied {
                fields.remove("metadata");
            }
            fields.values_mut().for_each(without_provenance);
        }
        Value::Array(items) => items.iter_mut().for_each(without_provenance),
        _ => {}
    }
}

fn compare(path: String, before: &Value, after: &Value, found: &mut Vec<FieldChange>) {
    if before == after {
        return;
    }
    let empty = Map::new();
    match (before, after) {
        (Value::Object(a), Value::Object(b)) => objects(&path, a, b, found),
        (Value::Null, Value::Object(b)) if !b.is_empty() => objects(&path, &empty, b, found),
        (Value::Object(a), Value::Null) if !a.is_empty() => objects(&path, a, &empty, found),
        (Value::Array(a), Value::Array(b)) => lists(&path, a, b, found),
        (Value::Null, Value::Array(b)) if !b.is_empty() => lists(&path, &[], b, found),
        (Value::Array(a), Value::Null) if !a.is_empty() => lists(&path, a, &[], found),
        _ => found.push(FieldChange { field: path, before: before.clone(), after: after.clone() }),
    }
}

fn objects(path: &str, before: &Map<String, Value>, after: &Map<String, Value>, found: &mut Vec<FieldChange>) {
    let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let below = match (key.contains(['.', '[', ']', '"']), path.is_empty()) {
            (true, _) => format!("{path}[\"{key}\"]"),
            (false, true) => key.clone(),
            (false, false) => format!("{path}.{key}"),
        };
        compare(below, before.get(key).unwrap_or(&Value::Null), after.get(key).unwrap_or(&Value::Null), found);
    }
}

fn lists(path: &str, before: &[Value], after: &[Value], found: &mut Vec<FieldChange>) {
    if let (Some(a), Some(b)) = (by_name(before), by_name(after)) {
        let mut names: Vec<&&str> = a.keys().chain(b.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            item(format!("{path}[{name}]"), a.get(*name).copied(), b.get(*name).copied(), found);
        }
        let order = |items: &[Value], other: &BTreeMap<&str, &Value>| -> Vec<Value> {
            let names = items.iter().filter_map(|item| item["name"].as_str());
            names.filter(|name| other.contains_key(name)).map(Value::from).collect()
        };
        let (a, b) = (order(before, &b), order(after, &a));
        if a != b {
            found.push(FieldChange { field: path.to_owned(), before: a.into(), after: b.into() });
        }
        return;
    }
    let start = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let (a, b) = (&before[start..], &after[start..]);
    let end = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[..a.len() - end], &b[..b.len() - end]);
    for index in 0..a.len().max(b.len()) {
        item(format!("{path}[{}]", start + index), a.get(index), b.get(index), found);
    }
}

fn item(path: String, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<FieldChange>) {
    match (before, after) {
        (Some(before), Some(after)) => compare(path, before, after, found),
        (before, after) => found.push(FieldChange {
            field: path,
            before: before.cloned().unwrap_or_default(),
            after: after.cloned().unwrap_or_default(),
        }),
    }
}

/// The items by their names, where each has one of its own.
fn by_name(items: &[Value]) -> Option<BTreeMap<&str, &Value>> {
    let named: BTreeMap<&str, &Value> =
        items.iter().map(|item| Some((item.get("name")?.as_str()?, item))).collect::<Option<_>>()?;
    (named.len() == items.len()).then_some(named)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(before: Value, after: Value) -> Vec<String> {
        let line = |FieldChange { field, before, after }| format!("{field}: {before} -> {after}");
        fields(&before, &after).into_iter().map(line).collect()
    }

    #[test]
    fn items_stand_by_name_or_place_and_keys_with_dots_in_brackets() {
        assert_eq!(
            told(
                json!({ "hosts": [{ "name": "a:80", "x": 1 }], "o": { "e.v": { "n": true } } }),
                json!({ "hosts": [{ "name": "b:80" }, { "name": "a:80", "x": 2 }] })
            ),
            ["hosts[a:80].x: 1 -> 2", "hosts[b:80]: null -> {\"name\":\"b:80\"}", "o[\"e.v\"].n: true -> null"]
        );
        assert_eq!(told(json!({ "r": [1, 2, 3] }), json!({ "r": [0, 1, 2, 3] })), ["r[0]: null -> 0"]);
        assert_eq!(told(json!({}), json!({ "od": { "a": 1, "b": 2 } })), ["od.a: null -> 1", "od.b: null -> 2"]);
    }

    #[test]
    fn the_order_of_named_items_is_a_difference_of_its_own() {
        let filters = |names: [&str; 2]| json!({ "f": names.map(|name| json!({ "name": name })) });
        assert_eq!(told(filters(["a", "b"]), filters(["b", "a"])), ["f: [\"a\",\"b\"] -> [\"b\",\"a\"]"]);
    }

    #[test]
    fn provenance_is_left_out() {
        let mut route =
            json!({ "routes": [{ "metadata": { "filter_metadata": { "chancery": { "documents": [] } } } }] });
        without_provenance(&mut route);
        assert_eq!(route, json!({ "routes": [{}] }));
    }
}
