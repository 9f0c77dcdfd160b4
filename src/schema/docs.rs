//! Doc comments into what a schema says: `- default:`, `- envoy:`, `- example:` and `- deprecated:` lines become keys,
//! the rest is the description. And shapes that editors read better than those which the derive writes.

use std::sync::Arc;

use schemars::{
    Schema,
    transform::{Transform, transform_subschemas},
};
use serde_json::{Map, Value, json};

use crate::{diagnostic::SourceFile, yaml};

/// Rewrites a schema and all below it.
#[derive(Debug, Clone)]
pub(super) struct Docs;

impl Transform for Docs {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(fields) = schema.as_object_mut() {
            // What the derive takes from `Default` is not what an absent field means: that stands in the comment.
            fields.remove("default");
            allow_no_null(fields);
            one_enum(fields);
            plain_numbers(fields);
            described(fields);
        }
        transform_subschemas(self, schema);
    }
}

/// An absent field is left out, not written as nothing: the reader takes `timeout:` for "not said", but whoever wrote
/// it wanted to say something, and should hear so while typing.
fn allow_no_null(fields: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = fields.get_mut("type") {
        types.retain(|one| one != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            fields.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(values)) = fields.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    let Some(Value::Array(choices)) = fields.get_mut("anyOf") else { return };
    choices.retain(|choice| choice["type"] != "null");
    if let [Value::Object(only)] = choices.as_slice() {
        let only = only.clone();
        fields.remove("anyOf");
        for (key, value) in only {
            fields.entry(key).or_insert(value);
        }
    }
}

/// `oneOf` constants, each with a description, into `enum` and `enumDescriptions`: one message instead of one for
/// each word when none matches.
fn one_enum(fields: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = fields.get("oneOf") else { return };
    let mut words = Vec::new();
    let mut descriptions = Vec::new();
    for choice in choices {
        let description = choice["description"].as_str().unwrap_or_default();
        match (&choice["const"], &choice["enum"]) {
            (Value::String(word), _) => words.push(word.clone()),
            (_, Value::Array(several)) => words.extend(several.iter().filter_map(Value::as_str).map(str::to_owned)),
            _ => return,
        }
        descriptions.resize(words.len(), description.to_owned());
    }
    fields.remove("oneOf");
    fields.insert("type".into(), "string".into());
    fields.insert("enum".into(), words.into());
    fields.insert("enumDescriptions".into(), descriptions.into());
}

/// Rust's widths of numbers are no format anyone else knows; the bounds say the same.
fn plain_numbers(fields: &mut Map<String, Value>) {
    let width = fields.get("format").and_then(Value::as_str).unwrap_or_default().to_owned();
    let bits = match width.trim_start_matches("uint") {
        "8" => u64::from(u8::MAX),
        "16" => u64::from(u16::MAX),
        "32" => u64::from(u32::MAX),
        _ => u64::MAX,
    };
    if width.starts_with("uint") {
        fields.entry("minimum").or_insert(json!(0));
        if bits < u64::MAX {
            fields.entry("maximum").or_insert(json!(bits));
        }
    }
    if width.starts_with("uint") || matches!(width.as_str(), "float" | "double" | "int32" | "int64" | "ip") {
        fields.remove("format");
    }
}

/// The lines of the comment that are keys.
fn described(fields: &mut Map<String, Value>) {
    let Some(Value::String(comment)) = fields.remove("description") else { return };
    let comment = Comment::parse(&comment);
    let is_text = fields.get("type").is_some_and(|types| types == "string");
    if let Some(default) = &comment.default {
        match only_code(default) {
            Some(code) => drop(fields.insert("default".into(), value(code, is_text))),
            None => drop(fields.insert("x-default".into(), default.as_str().into())),
        }
    }
    if !comment.examples.is_empty() {
        let examples = comment.examples.iter().map(|example| value(only_code(example).unwrap_or(example), is_text));
        fields.insert("examples".into(), examples.collect());
    }
    if let Some(envoy) = &comment.envoy {
        fields.insert("x-envoy".into(), only_code(envoy).unwrap_or(envoy).into());
    }
    if let Some(instead) = &comment.deprecated {
        fields.insert("deprecated".into(), true.into());
        fields.insert("deprecationMessage".into(), instead.as_str().into());
    }
    if !comment.text.is_empty() {
        fields.insert("markdownDescription".into(), comment.markdown().into());
        fields.insert("description".into(), comment.text.into());
    }
}

/// A doc comment taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
struct Comment {
    text: String,
    default: Option<String>,
    envoy: Option<String>,
    deprecated: Option<String>,
    examples: Vec<String>,
}

impl Comment {
    fn parse(comment: &str) -> Self {
        let mut parsed = Self::default();
        let mut text: Vec<&str> = Vec::new();
        // A key's line may go on in lines that are indented below it.
        let mut key: Option<(&str, String)> = None;
        for line in comment.lines() {
            if line.starts_with("  ")
                && let Some((_, value)) = &mut key
            {
                value.push(' ');
                value.push_str(line.trim());
                continue;
            }
            parsed.take(key.take());
            let found = line.strip_prefix("- ").and_then(|line| line.split_once(": "));
            match found {
                Some((name @ ("default" | "envoy" | "example" | "deprecated"), value)) => {
                    key = Some((name, value.trim().to_owned()));
                }
                _ => text.push(line),
            }
        }
        parsed.take(key);
        parsed.text = unwrapped(&text);
        parsed
    }

    fn take(&mut self, key: Option<(&str, String)>) {
        match key {
            Some(("default", value)) => self.default = Some(value),
            Some(("envoy", value)) => self.envoy = Some(value),
            Some(("deprecated", value)) => self.deprecated = Some(value),
            Some((_, value)) => self.examples.push(value),
            None => {}
        }
    }

    /// For editors that show Markdown: with the default and the Envoy field, which they do not show otherwise.
    fn markdown(&self) -> String {
        let mut text = self.text.clone();
        for (name, value) in [("Default", &self.default), ("Envoy", &self.envoy)] {
            if let Some(value) = value {
                text.push_str(&format!("\n\n{name}: {value}"));
            }
        }
        text
    }
}

/// Lines of a paragraph as one line; paragraphs stay apart.
fn unwrapped(lines: &[&str]) -> String {
    let paragraphs = lines.split(|line| line.trim().is_empty());
    let paragraphs = paragraphs.map(|lines| lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "));
    paragraphs.filter(|paragraph| !paragraph.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// What stands between backticks, if that is all there is.
fn only_code(text: &str) -> Option<&str> {
    text.strip_prefix('`')?.strip_suffix('`').filter(|code| !code.contains('`'))
}

/// As the reader of documents would read it.
fn value(code: &str, is_text: bool) -> Value {
    if is_text {
        return code.trim_matches('"').into();
    }
    let file = Arc::new(SourceFile { path: "example".into(), text: code.into() });
    let documents = yaml::parse(&file).documents;
    let read = documents.first().and_then(|document| document.decode::<Value>().ok());
    read.unwrap_or_else(|| code.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documented(mut schema: Schema) -> Value {
        Docs.transform(&mut schema);
        schema.to_value()
    }

    #[test]
    fn lines_of_a_comment_become_keys() {
        let comment = "How long\na request takes.\n\nMore.\n\n- default: `10s`\n- envoy: `route.timeout`\n\
                       - example: `{ a: [1, b] }`\n- example: `{ a: [] }`\n- deprecated: write `x`";
        let schema = documented(schemars::json_schema!({ "description": comment, "default": null }));
        assert_eq!(
            schema,
            json!({
                "description": "How long a request takes.\n\nMore.",
                "markdownDescription":
                    "How long a request takes.\n\nMore.\n\nDefault: `10s`\n\nEnvoy: `route.timeout`",
                "default": "10s", "x-envoy": "route.timeout", "examples": [{ "a": [1, "b"] }, { "a": [] }],
                "deprecated": true, "deprecationMessage": "write `x`",
            })
        );
    }

    #[test]
    fn a_default_that_is_no_value_is_told_in_words() {
        let schema = documented(schemars::json_schema!({ "description": "It.\n\n- default: Envoy's `1h`" }));
        assert_eq!((&schema["default"], &schema["x-default"]), (&Value::Null, &json!("Envoy's `1h`")));
    }

    #[test]
    fn values_of_texts_are_texts() {
        let schema =
            documented(schemars::json_schema!({ "type": "string", "description": "It.\n\n- example: `1.10`" }));
        assert_eq!(schema["examples"], json!(["1.10"]));
        let schema = documented(schemars::json_schema!({ "type": "number", "description": "It.\n\n- example: `1.5`" }));
        assert_eq!(schema["examples"], json!([1.5]));
    }

    #[test]
    fn described_words_are_one_enum() {
        let schema = documented(schemars::json_schema!({ "oneOf": [
            { "type": "string", "const": "A", "description": "The first." },
            { "type": "string", "enum": ["B", "C"] },
        ] }));
        let wanted = json!({ "type": "string", "enum": ["A", "B", "C"], "enumDescriptions": ["The first.", "", ""] });
        assert_eq!(schema, wanted);
    }

    #[test]
    fn nothing_is_no_value() {
        let schema =
            documented(schemars::json_schema!({ "anyOf": [{ "$ref": "#/definitions/A" }, { "type": "null" }] }));
        assert_eq!(schema, json!({ "$ref": "#/definitions/A" }));
        assert_eq!(documented(schemars::json_schema!({ "type": ["string", "null"] })), json!({ "type": "string" }));
    }
}
