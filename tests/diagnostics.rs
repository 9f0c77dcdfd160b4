//! Broken input beside the exact text an operator sees: these are the documentation of the errors.
//! `UPDATE_GOLDEN=1` rewrites `expected.txt`.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

use std::{fs, path::Path, process::Command};

fn validate(folder: &Path, more: &[&str]) -> (i32, String, String) {
    let config = folder.join("chancery.yaml").exists();
    let arguments: &[&str] =
        if config { &["validate", "--config", "chancery.yaml"] } else { &["validate", "policies.yaml"] };
    let output = Command::new(env!("CARGO_BIN_EXE_chancery"))
        .args(arguments)
        .args(more)
        .current_dir(folder)
        .env_remove("CHANCERY_CONFIG")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn cases() -> Vec<std::path::PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/diagnostics");
    let mut cases: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() > 10, "the cases are gone");
    cases
}

#[test]
fn every_broken_input_is_explained() {
    for case in cases() {
        let (code, _, stderr) = validate(&case, &[]);
        // How much a sidecar is sent is no problem, and changes with every field that is added.
        let told = stderr.lines().filter(|line| !line.starts_with("a sidecar that nothing limits is sent "));
        let text = format!("exit {code}\n{}\n", told.collect::<Vec<_>>().join("\n"));
        let expected = case.join("expected.txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&expected, &text).unwrap();
        }
        let golden = fs::read_to_string(&expected).unwrap_or_else(|_| panic!("{} has no expected.txt", case.display()));
        similar_asserts::assert_eq!(golden, text, "{}", case.display());
    }
}

/// The forms that programs read name the same problems.
#[test]
fn every_form_names_every_problem() {
    for case in cases() {
        let (code, json, _) = validate(&case, &["-o", "json"]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let problems = json["problems"].as_array().unwrap();
        assert!(!problems.is_empty(), "{}", case.display());
        let errors = problems.iter().filter(|problem| problem["level"] == "error").count();
        assert_eq!(code, i32::from(errors > 0), "{}: warnings are no failure", case.display());
        for problem in problems {
            for key in ["level", "id", "file", "line", "column", "field", "message", "remedy"] {
                assert!(problem.get(key).is_some(), "{}: {key} is missing in {problem}", case.display());
            }
        }
        let (_, sarif, _) = validate(&case, &["-o", "sarif"]);
        let sarif: serde_json::Value = serde_json::from_str(&sarif).unwrap();
        assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), problems.len());
        let (_, github, _) = validate(&case, &["-o", "github"]);
        assert_eq!(github.lines().count(), problems.len(), "{github}");
    }
}
