//! Every example is loaded, checked and compiled, so that what the documentation shows works.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

use std::{fs, process::Command};

#[test]
fn every_example_is_without_problems_and_compiles() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.join("chancery.yaml").exists() {
            continue;
        }
        seen += 1;
        let chancery = |arguments: &[&str]| {
            let output =
                Command::new(env!("CARGO_BIN_EXE_chancery")).args(arguments).current_dir(&path).output().unwrap();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            (output.status.success(), text(&output.stdout), text(&output.stderr))
        };
        let (fine, _, said) = chancery(&["validate", "--config", "chancery.yaml"]);
        // A client that is no service is a warning: the snapshot lists what is called, not all who call.
        assert!(fine && !said.contains("error["), "{}: {said}", path.display());
        let (fine, rendered, said) = chancery(&["render", "--config", "chancery.yaml", "--node", "example-1"]);
        assert!(fine, "{}: {said}", path.display());
        let rendered: serde_json::Value = serde_json::from_str(&rendered).unwrap();
        assert!(rendered["clusters"].as_array().unwrap().len() > 1, "{}", path.display());
        assert!(path.join("README.md").exists(), "{} says nothing of itself", path.display());
    }
    assert!(seen >= 5, "examples are gone");
}
