//! `docs/protocol.md` has a row for each rule of the protocol, and names tests that exist.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

const RULES: u32 = 92;

/// The rows of the tables of rules: number, and what stands in the last column.
fn rows() -> Vec<(u32, String)> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol.md")).unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
        let (number, level) = cells[0].split_once(' ')?;
        let number = number.parse().ok()?;
        assert!(["M", "C", "S"].contains(&level), "{line}");
        assert_eq!(cells.len(), 4, "{line}");
        Some((number, cells[3].to_owned()))
    };
    page.lines().filter_map(row).collect()
}

/// The names of all functions in the sources and the tests.
fn functions(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(path).unwrap();
            let function = |line: &str| {
                let line = line.trim_start();
                let rest = line.strip_prefix("fn ").or_else(|| line.strip_prefix("async fn "))?;
                Some(rest.split(['(', '<']).next()?.to_owned())
            };
            names.extend(text.lines().filter_map(function));
        }
    }
}

#[test]
fn every_rule_has_its_row_and_every_test_that_is_named_exists() {
    let rows = rows();
    let numbers: Vec<u32> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=RULES).collect::<Vec<_>>(), "each rule once, in order");

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut functions_there = BTreeSet::new();
    functions(&root.join("tests"), &mut functions_there);
    functions(&root.join("src"), &mut functions_there);
    let numbered = |name: &str| {
        let number = name.strip_prefix("item_")?.split('_').next()?;
        number.parse::<u32>().ok()
    };
    let mut tested: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    for name in &functions_there {
        if let Some(number) = numbered(name) {
            tested.entry(number).or_default().push(name);
        }
    }

    for (number, held_by) in &rows {
        let named: Vec<&str> = held_by.split('`').skip(1).step_by(2).collect();
        if held_by.starts_with("not tested: ") {
            assert!(!tested.contains_key(number), "rule {number} is tested: {:?}", tested[number]);
            continue;
        }
        assert!(!named.is_empty(), "rule {number} names no test, and gives no reason");
        for name in &named {
            match numbered(name).filter(|_| name.matches('_').count() == 1) {
                Some(other) => assert!(tested.contains_key(&other), "rule {number}: there is no `item_{other:02}_…`"),
                None => assert!(functions_there.contains(*name), "rule {number}: there is no test `{name}`"),
            }
        }
        if tested.contains_key(number) {
            let own = format!("item_{number:02}");
            assert!(named.contains(&own.as_str()), "rule {number} has tests `{own}_…` that its row does not name");
        }
    }
    assert!(tested.keys().all(|number| (1..=RULES).contains(number)), "{tested:?}");
}
