//! What Istio's own validation takes and what it refuses, case by case (`tests/istio_cases/`): what is valid there loads
//! here or is refused naming the field that we do not support, and what is invalid is refused with the field named.
//! And the lists of `docs/istio.md` are true: what they call refused is what these cases find refused.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::Arc,
};

use chancery::{
    diagnostic::{Level, SourceFile},
    policy::read_file,
    yaml,
};
use serde_json::{Map, Value, json};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/istio_cases");
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/istio.md");

/// The kinds, with the file of each.
const KINDS: [(&str, &str); 4] = [
    ("DestinationRule", "destination_rule"),
    ("VirtualService", "virtual_service"),
    ("ServiceEntry", "service_entry"),
    ("Sidecar", "sidecar"),
];

#[derive(Debug)]
struct Case {
    name: String,
    document: Value,
    expect: Expect,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Expect {
    Accepted,
    /// Istio refuses it, too.
    Refused(String),
    /// Istio takes it.
    Unsupported(String),
}

fn cases(kind: &str, file: &str) -> Vec<Case> {
    let path = format!("{FOLDER}/{file}.yaml");
    let text = fs::read_to_string(&path).unwrap().into();
    let cases: Option<Vec<Map<String, Value>>> =
        yaml::read_one(&Arc::new(SourceFile { path: path.into(), text })).unwrap_or_else(|wrong| panic!("{wrong:#?}"));
    let cases = cases.unwrap();
    cases.into_iter().map(|case| read(kind, case)).collect()
}

fn read(kind: &str, case: Map<String, Value>) -> Case {
    let mut metadata = json!({ "name": "case" });
    for (key, value) in case.get("metadata").and_then(Value::as_object).into_iter().flatten() {
        metadata[key] = value.clone();
    }
    let spec = match (case.get("spec"), case.get("http")) {
        (Some(spec), None) => spec.clone(),
        (None, Some(rule)) => json!({ "hosts": ["orders"], "http": [rule] }),
        _ => panic!("a case has `spec` or `http`: {case:?}"),
    };
    let field = |key: &str| case["expect"][key].as_str().map(ToOwned::to_owned);
    let expect = match (case["expect"].as_str(), field("refused"), field("unsupported")) {
        (Some("accepted"), None, None) => Expect::Accepted,
        (None, Some(field), None) => Expect::Refused(field),
        (None, None, Some(field)) => Expect::Unsupported(field),
        _ => panic!("nothing is expected: {case:?}"),
    };
    Case {
        name: case["name"].as_str().unwrap().to_owned(),
        document: json!({ "apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec }),
        expect,
    }
}

/// The fields that errors name.
fn refused_fields(document: &Value) -> Vec<String> {
    let text = serde_json::to_string_pretty(document).unwrap();
    let read = read_file(&Arc::new(SourceFile { path: "case.yaml".into(), text: text.into() }));
    let errors = read.problems.into_iter().filter(|problem| problem.level == Level::Error);
    errors.map(|error| error.field).collect()
}

#[test]
fn every_case_is_taken_or_refused_as_istio_has_it() {
    let mut wrong = Vec::new();
    let mut tried = 0;
    for (kind, file) in KINDS {
        for Case { name, document, expect } in cases(kind, file) {
            tried += 1;
            let refused = refused_fields(&document);
            let is_right = match &expect {
                Expect::Accepted => refused.is_empty(),
                Expect::Refused(field) | Expect::Unsupported(field) => refused.contains(field),
            };
            if !is_right {
                wrong.push(format!("{kind}, {name}: {expect:?}, and refused is {refused:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 240, "{tried} cases");
}

/// A field without the numbers of list items and keys of maps: `spec.endpoints[].network`.
fn plain(field: &str) -> String {
    let mut plain = String::new();
    let mut inside = false;
    for c in field.chars() {
        match c {
            '[' => {
                inside = true;
                plain.push_str("[]");
            }
            ']' => inside = false,
            _ if inside => {}
            c => plain.push(c),
        }
    }
    plain
}

/// The fields that the page lists as refused, by kind: of each section's second table the first column.
fn listed() -> BTreeMap<String, BTreeSet<String>> {
    let page = fs::read_to_string(PAGE).unwrap();
    let sections = page.split("\n## ").skip(1);
    let fields = |section: &str| -> Option<(String, BTreeSet<String>)> {
        let (kind, rest) = section.split_once('\n')?;
        let table = rest.split("| refused | instead |\n|---|---|\n").nth(1)?;
        let rows = table.lines().take_while(|line| line.starts_with("| "));
        let field = |row: &str| row.split('`').nth(1).map(|field| format!("spec.{field}"));
        Some((kind.to_owned(), rows.filter_map(field).collect()))
    };
    sections.filter_map(fields).collect()
}

#[test]
fn the_page_lists_what_is_refused_and_nothing_else() {
    let listed = listed();
    for (kind, file) in KINDS {
        let found: BTreeSet<String> = cases(kind, file)
            .into_iter()
            .filter_map(|case| match case.expect {
                Expect::Unsupported(field) => Some(plain(&field)),
                Expect::Accepted | Expect::Refused(_) => None,
            })
            .collect();
        let empty = BTreeSet::new();
        let listed = listed.get(kind).unwrap_or(&empty);
        let missing: Vec<_> = found.difference(listed).collect();
        let untried: Vec<_> = listed.difference(&found).collect();
        assert!(missing.is_empty(), "{kind}: docs/istio.md does not say that these are refused: {missing:?}");
        assert!(untried.is_empty(), "{kind}: no case has these, which docs/istio.md calls refused: {untried:?}");
    }
}
