//! Documents made from a schema: as small as can be, and holding a given field.

use std::sync::Arc;

use chancery::{
    config,
    diagnostic::{Diagnostic, SourceFile},
    discovery,
    policy::document,
    schema::{
        Kind,
        fields::{Step, properties, resolved},
    },
};
use serde_json::{Map, Value, json};

/// A value that the schema allows: an example where there is one, else the smallest.
pub fn sample(schema: &Value, root: &Value) -> Value {
    let schema = resolved(schema, root);
    let given = [schema.get("const"), schema["examples"].get(0), schema["enum"].get(0), schema.get("default")];
    if let Some(given) = given.into_iter().flatten().next() {
        return given.clone();
    }
    let kind = schema["type"].as_str().or(schema["type"][0].as_str());
    match kind {
        Some("string") => json!("a"),
        Some("integer" | "number") => json!(schema["minimum"].as_u64().unwrap_or(0).max(1)),
        Some("boolean") => json!(true),
        Some("array") => json!([sample(&schema["items"], root)]),
        _ => Value::Object(required(&schema, root)),
    }
}

/// The fields that must be there; of several forms the first one's.
fn required(schema: &Value, root: &Value) -> Map<String, Value> {
    let properties = properties(schema, root);
    let form = [&schema["oneOf"][0], &schema["anyOf"][0]].into_iter().find(|form| form.is_object());
    let names = [Some(schema), form].into_iter().flatten().filter_map(|schema| schema["required"].as_array()).flatten();
    names.filter_map(Value::as_str).map(|name| (name.to_owned(), sample(&properties[name], root))).collect()
}

/// The smallest document that holds a field; its last name is written as `name` says.
pub fn holding(schema: &Value, root: &Value, steps: &[Step], name: &str) -> Value {
    let schema = resolved(schema, root);
    match steps {
        [] => sample(&schema, root),
        [Step::Field(field), rest @ ..] => {
            let is_last = !rest.iter().any(|step| matches!(step, Step::Field(_)));
            // What has several forms holds one of them: the form that has the field.
            let forms = ["oneOf", "anyOf"].into_iter().filter_map(|forms| schema[forms].as_array()).flatten();
            let form = forms.map(|form| resolved(form, root)).find(|form| form["properties"][field].is_object());
            let mut fields = required(form.as_ref().unwrap_or(&schema), root);
            fields.remove(field);
            let written = if is_last { name } else { field };
            fields.insert(written.to_owned(), holding(&properties(&schema, root)[field], root, rest, name));
            Value::Object(fields)
        }
        [Step::Item, rest @ ..] => json!([holding(&schema["items"], root, rest, name)]),
        [Step::Key, rest @ ..] => json!({ "key": holding(&schema["additionalProperties"], root, rest, name) }),
    }
}

/// What a reader says of a document of a kind. JSON is YAML: the text is the value's.
pub fn read(kind: Kind, document: &Value) -> Vec<Diagnostic> {
    let file = Arc::new(SourceFile { path: "sample.yaml".into(), text: document.to_string().into() });
    match kind {
        Kind::Policy(_) => document::read_file(&file).problems,
        Kind::Config => config::read(&file).err().unwrap_or_default(),
        Kind::Snapshot => discovery::file::read(&file).err().unwrap_or_default(),
    }
}
