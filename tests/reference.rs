//! `docs/reference/` is what the types say now: a page for each kind, made by `UPDATE_DOCS=1 cargo test --test reference`.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use chancery::schema::{self, Kind};

fn pages() -> BTreeMap<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference");
    let page = |kind: Kind| (folder.join(format!("{}.md", kind.name())), schema::page(kind));
    Kind::all().into_iter().map(page).collect()
}

#[test]
fn the_pages_are_current() {
    let pages = pages();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference");
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(&folder).unwrap();
        for (path, text) in &pages {
            fs::write(path, text).unwrap();
        }
    }
    let mut stale = Vec::new();
    for (path, text) in &pages {
        if fs::read_to_string(path).unwrap_or_default() != *text {
            stale.push(path.display().to_string());
        }
    }
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        // A schema for programs is `tests/schema.rs`'s.
        let is_page = path.extension().is_some_and(|extension| extension == "md");
        if is_page && !pages.contains_key(&path) && path.file_name().unwrap() != "README.md" {
            stale.push(format!("{}: there is no such kind", path.display()));
        }
    }
    assert!(stale.is_empty(), "UPDATE_DOCS=1 cargo test --test reference writes these anew:\n{}", stale.join("\n"));
    let index = fs::read_to_string(folder.join("README.md")).unwrap();
    for kind in Kind::all() {
        assert!(
            index.contains(&format!("({0}.md)", kind.name())),
            "docs/reference/README.md does not lead to {}",
            kind.name()
        );
    }
}

#[test]
fn the_command_prints_a_page() {
    let chancery = |arguments: &[&str]| Command::new(env!("CARGO_BIN_EXE_chancery")).args(arguments).output().unwrap();
    let printed = chancery(&["schema", "mesh", "-o", "markdown"]);
    assert_eq!(String::from_utf8(printed.stdout).unwrap(), schema::page(Kind::find("Mesh").unwrap()));
    let refused = chancery(&["schema", "-o", "markdown"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("name it"));
}
