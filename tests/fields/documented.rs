//! Every field says what it is, and every value what it becomes in Envoy: editors show it, and the reference pages are
//! made of it.

use chancery::schema::{
    self, Kind,
    fields::{Field, fields},
};

/// What the doc comment of a field lacks.
fn lacking(kind: Kind, field: &Field, is_leaf: bool) -> Vec<&'static str> {
    let lacks = |key: &str| field.schema[key].is_null();
    let mut lacking = Vec::new();
    if lacks("description") {
        lacking.push("a sentence that says what it is");
    }
    // Nothing of chancery.yaml reaches an Envoy.
    if is_leaf && kind != Kind::Config && lacks("x-envoy") {
        lacking.push("a line `- envoy: <the field it becomes>`, or `- envoy: none, <what it does instead>`");
    }
    // What the type itself shows needs no example.
    let shown = field.schema["type"] == "boolean" || field.schema["doNotSuggest"] == true;
    if is_leaf && !shown && ["examples", "enum", "const"].into_iter().all(lacks) {
        lacking.push("a line `- example: <a value>`");
    }
    lacking
}

#[test]
fn every_field_says_what_it_is_and_what_it_becomes() {
    let mut wrong = Vec::new();
    for kind in Kind::all() {
        let schema = schema::of(kind);
        for field in fields(&schema).iter().filter(|field| !field.is_refused()) {
            let lacking = lacking(kind, field, field.is_leaf(&schema));
            if !lacking.is_empty() {
                wrong.push(format!("{} {}: {}", kind.name(), field.path(), lacking.join("; ")));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "the doc comments of {} fields lack something (then `UPDATE_DOCS=1 cargo test --test reference`):\n{}",
        wrong.len(),
        wrong.iter().take(40).cloned().collect::<Vec<_>>().join("\n")
    );
}
