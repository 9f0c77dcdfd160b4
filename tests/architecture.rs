//! The map in `src/lib.rs`, enforced: who may import whom, what pure rooms may not name, and that every test file runs.
//!
//! Read from the source text alone: `crate::room` and `use crate::{…}` in files below `src/`, tests modules included.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Each room and the rooms it may use. `*` = everything.
const ROOMS: &[(&str, &[&str])] = &[
    ("main", &["*"]),
    ("lib", &["*"]),
    ("cli", &["*"]),
    ("app", &["*"]),
    ("model", &[]),
    ("diagnostic", &[]),
    ("yaml", &["diagnostic"]),
    ("files", &["diagnostic"]),
    ("config", &["model", "diagnostic", "yaml"]),
    // Which fields Envoy's messages have. A patch is written in these words, so `policy` checks it as it reads it, with
    // its place, like everything people write; it still knows no resource: no message is built from them there.
    ("descriptors", &["proto", "yaml"]),
    ("policy", &["model", "diagnostic", "yaml", "descriptors"]),
    ("discovery", &["model", "config", "diagnostic", "yaml", "files"]),
    // A catalog is merged from slices, and a slice is what discovery publishes: a plain value.
    ("catalog", &["model", "discovery", "diagnostic"]),
    ("resources", &["proto", "model", "descriptors"]),
    ("compile", &["model", "resources", "proto", "descriptors"]),
    (
        "control",
        &[
            "catalog",
            "policy",
            "compile",
            "publish",
            "config",
            "model",
            "discovery",
            "files",
            "diagnostic",
            "resources",
            "state",
        ],
    ),
    // What is kept is what discovery publishes and what policies are written as, in the words of a snapshot.
    ("state", &["catalog", "model", "discovery", "diagnostic"]),
    // What a field does is found by trying it, in the very world that serves.
    ("plan", &["control", "policy", "resources", "model", "diagnostic", "yaml"]),
    ("publish", &["model", "resources"]),
    ("xds", &["publish", "resources", "model", "proto"]),
    ("admin", &["publish", "xds", "resources", "catalog", "control", "model", "diagnostic"]),
    ("proto", &[]),
    // Which types are written by people, and how to say what they may hold.
    ("schema", &["policy", "config", "discovery", "plan", "yaml", "diagnostic"]),
];

/// Rooms, or files of a room, that are functions of values.
const PURE: &[&str] = &[
    "model",
    "diagnostic",
    "yaml",
    "policy",
    "catalog",
    "resources",
    "compile",
    "descriptors",
    "schema",
    "plan",
    "control/world.rs",
    "control/by_namespace.rs",
    "control/entries.rs",
    "xds/session",
    "xds/subscription.rs",
    "control/settle.rs",
    "state/text.rs",
    "xds/message.rs",
    "xds/held.rs",
    "xds/in_flight.rs",
    "xds/blame.rs",
    "xds/rejections.rs",
    "control/quarantine",
    "xds/changes.rs",
];

/// What a function of values has no use for: a runtime, the file system, the environment, a clock.
const IMPURE: &[&str] =
    &["tokio::", "std::fs", "std::env", "Instant::now", "SystemTime::now", "std::process", "std::net::Tcp"];

#[test]
fn imports_follow_the_map() {
    let rules: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
    let mut broken = Vec::new();
    for (path, text) in sources() {
        let room = room_of(&path);
        let Some(allowed) = rules.get(room.as_str()) else {
            broken.push(format!("{path}: the room `{room}` is not on the map: add it to src/lib.rs and to ROOMS"));
            continue;
        };
        for used in imported_rooms(&text) {
            if used != room && !allowed.contains(&"*") && !allowed.contains(&used.as_str()) {
                broken.push(format!("{path}: `{room}` may not use `{used}`"));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn pure_rooms_name_nothing_impure() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        if !PURE.iter().any(|pure| path.starts_with(&format!("src/{pure}"))) {
            continue;
        }
        // What stands behind `#[cfg(test)] mod` may use what tests use.
        let production = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        for (number, line) in production.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for impure in IMPURE.iter().filter(|impure| code.contains(*impure)) {
                broken.push(format!("{path}:{}: `{impure}` in a pure room", number + 1));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn every_pure_path_exists() {
    for pure in PURE {
        let path = Path::new("src").join(pure);
        assert!(
            path.exists() || path.with_extension("rs").exists(),
            "{} is on the list of pure rooms only",
            path.display()
        );
    }
}

#[test]
fn every_module_opens_with_its_story() {
    let silent: Vec<String> =
        sources().into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(path, _)| path).collect();
    assert!(silent.is_empty(), "these open without a `//!`: {silent:?}");
}

#[test]
fn every_test_file_is_in_a_module_list() {
    let mut orphans = Vec::new();
    for (path, _) in rust_files("tests") {
        let parts: Vec<&str> = path.split('/').collect();
        let ["tests", folder, rest @ ..] = parts.as_slice() else { continue };
        if rest.is_empty() {
            continue; // a test crate of its own
        }
        let (parents, name) = parent_modules(folder, rest);
        let declared = parents.iter().filter_map(|parent| fs::read_to_string(parent).ok()).any(|text| {
            text.lines()
                .any(|line| line.trim().trim_start_matches("pub ").strip_prefix("mod ") == Some(&format!("{name};")))
        });
        // A module that several test crates share is declared by those.
        let shared = rest == ["mod.rs"] && test_crates().iter().any(|text| text.contains(&format!("mod {folder};")));
        if !declared && !shared {
            orphans.push(path);
        }
    }
    assert!(orphans.is_empty(), "no `mod` names these, so they never run: {orphans:?}");
}

/// The files that may declare the module of `tests/<folder>/<rest>`, and its name.
fn parent_modules(folder: &str, rest: &[&str]) -> (Vec<PathBuf>, String) {
    let mut parts: Vec<&str> = std::iter::once(folder).chain(rest.iter().copied()).collect();
    let file = parts.pop().unwrap_or_default();
    let name = match file.strip_suffix(".rs") {
        Some("mod") => parts.pop().unwrap_or_default().to_owned(),
        Some(name) => name.to_owned(),
        None => String::new(),
    };
    let parent = Path::new("tests").join(parts.join("/"));
    (vec![parent.with_extension("rs"), parent.join("mod.rs"), parent.join("main.rs")], name)
}

fn test_crates() -> Vec<String> {
    rust_files("tests").into_iter().filter(|(path, _)| path.matches('/').count() == 1).map(|(_, text)| text).collect()
}

fn sources() -> Vec<(String, String)> {
    rust_files("src")
}

fn rust_files(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push((path.display().to_string(), fs::read_to_string(&path).expect("readable source")));
            }
        }
    }
    files.sort();
    files
}

fn room_of(path: &str) -> String {
    let below = path.trim_start_matches("src/");
    below.split('/').next().unwrap_or(below).trim_end_matches(".rs").to_owned()
}

/// The first path segment behind each `crate::`, braces opened.
fn imported_rooms(text: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        if text[..at].ends_with('$')
            || text[..at].lines().last().is_some_and(|line| line.trim_start().starts_with("//"))
        {
            continue;
        }
        let rest = &text[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => rooms.extend(top_level_names(group)),
            None => rooms.extend(leading_name(rest)),
        }
    }
    rooms
}

/// The names at the first level of `a::{b, c}, d::e}`.
fn top_level_names(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut expecting) = (0_u32, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expecting = true,
            c if expecting && depth == 0 && c.is_ascii_lowercase() => {
                names.extend(leading_name(&group[at..]));
                expecting = false;
            }
            _ => {}
        }
    }
    names
}

fn leading_name(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    name.starts_with(|c: char| c.is_ascii_lowercase()).then_some(name)
}
