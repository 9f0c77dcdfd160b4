//! Every field that a kind of document can hold, at any depth: for reference pages, and for tests that try them all.

use serde_json::{Map, Value};

/// One step from a document's root towards a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Into a field of a map.
    Field(String),
    /// Into an entry of a list.
    Item,
    /// Into a value of a map whose keys are free.
    Key,
}

/// A field of a kind of document.
#[derive(Debug, Clone)]
pub struct Field {
    /// From the root.
    pub steps: Vec<Step>,
    /// What it may hold, and what is said of it: its own words before those of its type.
    pub schema: Value,
    /// The name of its type, or of the type that its list or map holds, where that has a name.
    pub definition: Option<String>,
    /// Whether a document must have it, once it has what it stands in.
    pub required: bool,
}

impl Field {
    /// As reference pages write it: `spec.subsets[].labels.*`.
    pub fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.steps {
            match step {
                Step::Field(name) if path.is_empty() => path.push_str(name),
                Step::Field(name) => path.extend([".", name]),
                Step::Item => path.push_str("[]"),
                Step::Key => path.push_str(".*"),
            }
        }
        path
    }

    /// Its own name.
    pub fn name(&self) -> &str {
        let name = self.steps.iter().rev().find_map(|step| match step {
            Step::Field(name) => Some(name.as_str()),
            Step::Item | Step::Key => None,
        });
        name.unwrap_or_default()
    }

    /// Whether it is part of the format and refused: the schema allows no value.
    pub fn is_refused(&self) -> bool {
        self.schema["not"].is_object()
    }

    /// Whether nothing stands below it: neither fields nor a list or map of such.
    pub fn is_leaf(&self, schema: &Value) -> bool {
        let mut inner = self.schema.clone();
        while let Some(next) = ["items", "additionalProperties"].iter().find_map(|key| inner.get(key)?.as_object()) {
            inner = resolved(&Value::Object(next.clone()), schema);
        }
        properties(&inner, schema).is_empty()
    }
}

/// Every field of a schema of this module, the ones above before those below, in the order of their names.
pub fn fields(schema: &Value) -> Vec<Field> {
    let mut found = Vec::new();
    below(schema, schema, &mut Vec::new(), &mut found);
    found
}

fn below(schema: &Value, root: &Value, steps: &mut Vec<Step>, found: &mut Vec<Field>) {
    let schema = resolved(schema, root);
    for (name, property) in properties(&schema, root) {
        steps.push(Step::Field(name.clone()));
        let required = schema["required"].as_array().is_some_and(|names| names.contains(&name.into()));
        let definition = definition(&property, root);
        found.push(Field { steps: steps.clone(), schema: resolved(&property, root), definition, required });
        below(&property, root, steps, found);
        steps.pop();
    }
    for (inner, step) in [("items", Step::Item), ("additionalProperties", Step::Key)] {
        if schema[inner].is_object() {
            steps.push(step);
            below(&schema[inner], root, steps, found);
            steps.pop();
        }
    }
}

/// The fields of a map, those of every form that it may have.
pub fn properties(schema: &Value, root: &Value) -> Map<String, Value> {
    let schema = resolved(schema, root);
    let mut all = schema["properties"].as_object().cloned().unwrap_or_default();
    for form in ["oneOf", "anyOf"].into_iter().filter_map(|forms| schema[forms].as_array()).flatten() {
        for (name, property) in properties(form, root) {
            all.entry(name).or_insert(property);
        }
    }
    all
}

/// A schema with the definition that it refers to put in its place; what stands beside the reference wins.
pub fn resolved(schema: &Value, root: &Value) -> Value {
    let mut fields = schema.as_object().cloned().unwrap_or_default();
    let beside = |fields: &mut Map<String, Value>, other: Value| {
        for (key, value) in other.as_object().cloned().unwrap_or_default() {
            fields.entry(key).or_insert(value);
        }
    };
    if let Some(target) = target(&fields) {
        fields.remove("$ref");
        fields.remove("allOf");
        beside(&mut fields, resolved(&root["definitions"][&target], root));
    }
    Value::Object(fields)
}

/// The definition that a schema, or what its list or map holds, refers to.
fn definition(schema: &Value, root: &Value) -> Option<String> {
    if let Some(name) = schema.as_object().and_then(target) {
        let list_of = definition(&root["definitions"][&name]["items"], root);
        return Some(list_of.unwrap_or(name));
    }
    ["items", "additionalProperties"].into_iter().find_map(|inner| definition(schema.get(inner)?, root))
}

/// What `$ref` names, alone or as draft-07 wants it beside other words.
fn target(fields: &Map<String, Value>) -> Option<String> {
    let reference = match (fields.get("$ref"), fields.get("allOf").and_then(Value::as_array).map(Vec::as_slice)) {
        (Some(reference), _) => reference,
        (None, Some([only])) => only.get("$ref")?,
        (None, _) => return None,
    };
    reference.as_str()?.strip_prefix("#/definitions/").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_found_at_every_depth() {
        let schema = json!({
            "properties": {
                "a": { "description": "Own words.", "allOf": [{ "$ref": "#/definitions/A" }] },
                "list": { "items": { "$ref": "#/definitions/A" } },
                "map": { "additionalProperties": { "$ref": "#/definitions/A" } },
            },
            "required": ["a"],
            "definitions": {
                "A": { "description": "The type's.", "oneOf": [
                    { "properties": { "x": { "type": "string" } } },
                    { "properties": { "y": { "not": {} } } },
                ] },
            },
        });
        let fields = fields(&schema);
        let paths: Vec<String> = fields.iter().map(Field::path).collect();
        assert_eq!(paths, ["a", "a.x", "a.y", "list", "list[].x", "list[].y", "map", "map.*.x", "map.*.y"]);
        assert_eq!((&fields[0].schema["description"], fields[0].required), (&json!("Own words."), true));
        assert_eq!((fields[3].definition.as_deref(), fields[8].name()), (Some("A"), "y"));
        let leaves: Vec<bool> = fields.iter().map(|field| field.is_leaf(&schema)).collect();
        assert_eq!(leaves, [false, true, true, false, true, true, false, true, true]);
        assert!(fields[2].is_refused() && !fields[1].is_refused());
    }
}
