//! Settings as a flat map of leaves, `loadBalancer.simple` → value, and back.
//!
//! Merging field by field over a hundred typed fields would be a hundred lines that differ in a name. Flat, it is one
//! rule over paths; the types stay at both ends, so that only values that were checked are ever merged.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::document::Settings;

/// A setting's path: `connectionPool.tcp.maxConnections`.
pub type Path = String;

/// Objects that are one field: what is written there replaces all that was.
const WHOLE: [&str; 7] = [
    "loadBalancer.consistentHash.httpCookie",
    "loadBalancer.consistentHash.ringHash",
    "loadBalancer.consistentHash.maglev",
    "retries.rateLimitedBackoff",
    "statefulSession",
    "loadBalancer.defaultSubset",
    "tls",
];

/// The leaves of settings, by path. Lists and the objects in [`WHOLE`] are leaves.
pub fn flatten(settings: &Settings) -> BTreeMap<Path, Value> {
    let mut leaves = BTreeMap::new();
    let tree = serde_json::to_value(settings).expect("settings are plain data, which JSON can hold");
    flatten_into(String::new(), tree, &mut leaves);
    leaves
}

fn flatten_into(path: Path, value: Value, leaves: &mut BTreeMap<Path, Value>) {
    match value {
        Value::Object(fields) if !WHOLE.contains(&path.as_str()) => {
            if fields.is_empty() && !path.is_empty() {
                leaves.insert(path, Value::Object(fields));
                return;
            }
            for (key, value) in fields {
                let below = if path.is_empty() { key } else { format!("{path}.{key}") };
                flatten_into(below, value, leaves);
            }
        }
        leaf => drop(leaves.insert(path, leaf)),
    }
}

/// Settings with these leaves; the inverse of [`flatten`].
pub fn unflatten<'a>(leaves: impl IntoIterator<Item = (&'a Path, &'a Value)>) -> Settings {
    let mut tree = Value::Object(Map::new());
    for (path, value) in leaves {
        let mut place = &mut tree;
        for key in path.split('.') {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            place = &mut place[key];
        }
        // An empty object stands for "the block is there"; it must not wipe out what a leaf below it said.
        if place.is_null() {
            *place = value.clone();
        }
    }
    serde_json::from_value(tree).expect("every leaf was read by these very types")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flattening_loses_nothing() {
        let text = r#"{"loadBalancer":{"consistentHash":{"httpCookie":{"name":"user","ttl":"0s"},"ringHash":{"minimumRingSize":10}}},
            "outlierDetection":{},"timeout":"2s","retries":{"retryOn":"5xx,503"}}"#;
        let settings: Settings = serde_json::from_str(text).expect("valid settings");
        let leaves = flatten(&settings);
        let paths: Vec<&str> = leaves.keys().map(String::as_str).collect();
        assert_eq!(
            paths,
            [
                "loadBalancer.consistentHash.httpCookie",
                "loadBalancer.consistentHash.ringHash",
                "outlierDetection",
                "retries.retryOn",
                "timeout"
            ]
        );
        assert_eq!(unflatten(&leaves), settings);
    }
}
