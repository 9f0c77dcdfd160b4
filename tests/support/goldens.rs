//! The inputs of the goldens, for tests that hold something of all of them.

use std::{fs, path::PathBuf};

/// Services and policies of one case.
#[derive(Debug, Clone)]
pub struct Input {
    pub name: String,
    pub services: String,
    pub policies: String,
}

/// Every case, by name.
pub fn inputs() -> Vec<Input> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path.join("input.yaml")).unwrap();
        let (services, policies) = text.split_once("\n---\n").unwrap_or((&text, ""));
        Input {
            name: path.file_name().unwrap().to_string_lossy().into_owned(),
            services: format!("{services}\n"),
            policies: policies.to_owned(),
        }
    };
    let inputs: Vec<Input> = paths.iter().map(read).collect();
    assert!(inputs.len() > 20, "the goldens are gone");
    inputs
}
