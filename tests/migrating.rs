//! The page for those who come from another mesh names only what there is: each path of ours in `docs/migrating.md` is
//! looked up in the schema.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

use std::{collections::BTreeSet, fs};

use chancery::schema::{self, Kind};
use serde_json::Value;

/// Whether a schema knows a path: `a.b[].c`.
fn knows(root: &Value, schema: &Value, path: &[&str]) -> bool {
    let Some((first, rest)) = path.split_first() else { return true };
    let follow = |part: &Value| match part["$ref"].as_str() {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).cloned().unwrap_or_default(),
        None => part.clone(),
    };
    let schema = follow(schema);
    let name = first.trim_end_matches("[]");
    let direct = schema["properties"].get(name).is_some_and(|property| {
        let property = follow(property);
        let property = if first.ends_with("[]") { items(&property) } else { property };
        knows(root, &property, rest)
    });
    direct
        || ["anyOf", "oneOf", "allOf"]
            .iter()
            .any(|key| schema[key].as_array().is_some_and(|parts| parts.iter().any(|part| knows(root, part, path))))
}

/// What a list is made of, also where the list may be absent.
fn items(schema: &Value) -> Value {
    let alternatives = || {
        ["anyOf", "oneOf"].iter().find_map(|key| schema[key].as_array()?.iter().find(|part| !part["items"].is_null()))
    };
    schema.get("items").or_else(|| alternatives().map(|part| &part["items"])).cloned().unwrap_or_default()
}

fn exists(path: &str) -> bool {
    let (kind, path) = match path.split_once('.') {
        Some((kind, rest)) if Kind::find(kind).is_some() => (Kind::find(kind).unwrap(), rest.to_owned()),
        _ => (Kind::find("TrafficPolicy").unwrap(), path.to_owned()),
    };
    let schema = schema::of(kind);
    let path = format!("spec.{path}");
    knows(&schema, &schema, &path.split('.').collect::<Vec<_>>())
}

#[test]
fn every_path_of_ours_exists() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/migrating.md")).unwrap();
    let ours = page.lines().filter(|line| line.starts_with("| ")).filter_map(|line| line.split(" | ").nth(1));
    // Code in the right column: a path starts with a small letter or a kind and holds a dot, or is a field of `spec`.
    let is_path = |word: &&str| {
        word.chars().all(|letter| letter.is_ascii_alphanumeric() || ".[]".contains(letter))
            && (word.contains('.')
                || ["timeout", "healthChecks", "streamIdleTimeout", "maxStreamDuration"].contains(word))
    };
    let paths: BTreeSet<&str> = ours.flat_map(|cell| cell.split('`').skip(1).step_by(2)).filter(is_path).collect();
    assert!(paths.len() > 60, "the tables are gone: {paths:?}");
    let missing: Vec<_> = paths.iter().filter(|path| !exists(path)).collect();
    assert!(missing.is_empty(), "docs/migrating.md names what the schema does not have: {missing:?}");
    assert!(!exists("connectionPool.tcp.maxConections") && !exists("Mesh.outbondTraffic"));
}
