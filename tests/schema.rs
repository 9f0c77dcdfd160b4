//! `chancery schema`: JSON Schema made from the types that read YAML.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

use std::{fs, path::Path, process::Command};

use chancery::schema::{self, Data, Kind};
use serde_json::Value;

fn chancery(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_chancery")).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_command_prints_the_schema_of_every_kind_and_of_a_policy_file() {
    for kind in Kind::all() {
        let (code, printed, _) = chancery(&["schema", &kind.name().to_lowercase()]);
        assert_eq!((code, serde_json::from_str::<Value>(&printed).unwrap()), (0, schema::of(kind)));
    }
    let (code, printed, _) = chancery(&["schema"]);
    assert_eq!((code, serde_json::from_str::<Value>(&printed).unwrap()), (0, schema::of_policy_file()));
    let (code, _, said) = chancery(&["schema", "TraficPolicy"]);
    assert_eq!((code, said.contains("did you mean `TrafficPolicy`?")), (2, true), "{said}");
}

#[test]
fn the_schema_of_a_plan_is_published() {
    let (code, printed, _) = chancery(&["schema", "plan"]);
    assert_eq!((code, serde_json::from_str::<Value>(&printed).unwrap()), (0, Data::Plan.schema()));
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/plan.schema.json");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&published, &printed).unwrap();
    }
    assert_eq!(fs::read_to_string(published).unwrap_or_default(), printed, "UPDATE_DOCS=1 writes it anew");
}
