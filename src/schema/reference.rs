//! A schema into a page for people: a table for each type of what people write, in the order in which it is met.
//!
//! Everything on the page comes from the schema, and the schema from the types that read YAML, so a page cannot tell of
//! a field that is not read. `docs/reference/` holds the pages; a test holds that they are current.

use std::collections::{BTreeSet, VecDeque};

use serde_json::Value;

/// The page of one schema.
pub(super) fn page(schema: &Value) -> String {
    let title = schema["title"].as_str().unwrap_or_default();
    let mut page = format!("# {title}\n\n<!-- Made by `UPDATE_DOCS=1 cargo test --test reference`. -->\n\n");
    paragraph(&mut page, schema);
    let mut names = Names::default();
    table(&mut page, schema, &mut names);
    while let Some(name) = names.waiting.pop_front() {
        let definition = &schema["definitions"][&name];
        page.push_str(&format!("## {name}\n\n"));
        paragraph(&mut page, definition);
        table(&mut page, definition, &mut names);
    }
    page.truncate(page.trim_end().len());
    page + "\n"
}

/// Types that were met, each of which gets one section.
#[derive(Debug, Default)]
struct Names {
    met: BTreeSet<String>,
    waiting: VecDeque<String>,
}

impl Names {
    fn meet(&mut self, name: &str) {
        if self.met.insert(name.to_owned()) {
            self.waiting.push_back(name.to_owned());
        }
    }
}

fn paragraph(page: &mut String, schema: &Value) {
    if let Some(text) = schema["description"].as_str() {
        page.push_str(&format!("{text}\n\n"));
    }
}

/// The fields of an object, the words of an enumeration, or what else a value may look like.
fn table(page: &mut String, schema: &Value, names: &mut Names) {
    if let Some(fields) = schema["properties"].as_object() {
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        page.push_str("| field | type | default | Envoy | example | |\n|---|---|---|---|---|---|\n");
        // What is not suggested while typing is not for people to write.
        for (name, field) in fields.iter().filter(|(_, field)| field["doNotSuggest"] != true) {
            let default = if required.contains(&name.as_str()) { "required".to_owned() } else { default_of(field) };
            let example = field["examples"].as_array().and_then(|all| all.first()).map(code).unwrap_or_default();
            let envoy = field["x-envoy"].as_str().map(envoy).unwrap_or_default();
            let about = about(field);
            let shape = shape(field, names);
            let cells = [format!("`{name}`"), shape, default, envoy, example, about].map(|cell| escape(&cell));
            page.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        page.push('\n');
    } else if let Some(words) = schema["enum"].as_array() {
        page.push_str("| value | |\n|---|---|\n");
        for (index, word) in words.iter().enumerate() {
            let about = schema["enumDescriptions"][index].as_str().unwrap_or_default();
            page.push_str(&format!("| {} | {} |\n", code(word), escape(about)));
        }
        page.push('\n');
    } else {
        page.push_str(&format!("A value: {}.\n\n", shape(schema, names)));
    }
}

/// What a value looks like, with links to the types that have a section.
fn shape(schema: &Value, names: &mut Names) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/definitions/")) {
        names.meet(name);
        return format!("[{name}](#{})", name.to_lowercase());
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        if let Some(parts) = schema[key].as_array() {
            let mut shapes: Vec<String> = parts.iter().map(|part| shape(part, names)).collect();
            shapes.dedup();
            return shapes.join(" or ");
        }
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(code).collect::<Vec<_>>().join(", ");
    }
    if !schema["const"].is_null() {
        return code(&schema["const"]);
    }
    match schema["type"].as_str() {
        Some("array") => format!("list of {}", shape(&schema["items"], names)),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("map to {}", shape(&schema["additionalProperties"], names))
        }
        Some("integer") => format!("integer{}", bounds(schema)),
        Some("number") => format!("number{}", bounds(schema)),
        Some("string") => "text".to_owned(),
        Some(other) => other.to_owned(),
        None => "any".to_owned(),
    }
}

fn bounds(schema: &Value) -> String {
    let (low, high) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
    // The width of the number says nothing that anyone would write.
    let high = high.filter(|high| *high < f64::from(u32::MAX));
    match (low, high) {
        (Some(low), Some(high)) => format!(" {low} to {high}"),
        (Some(low), None) if low > 0.0 => format!(" from {low}"),
        (None, Some(high)) => format!(" up to {high}"),
        _ => String::new(),
    }
}

fn default_of(field: &Value) -> String {
    match (&field["default"], field["x-default"].as_str()) {
        (_, Some(words)) => words.to_owned(),
        (Value::Null, None) => String::new(),
        (value, None) => code(value),
    }
}

/// A path is code; what is said in words is not.
fn envoy(text: &str) -> String {
    let is_path = !text.contains([' ', '`']);
    if is_path { format!("`{text}`") } else { text.to_owned() }
}

fn about(field: &Value) -> String {
    let text = field["description"].as_str().unwrap_or_default().replace("\n\n", "<br>").replace('\n', " ");
    match field["deprecationMessage"].as_str() {
        Some(instead) => format!("{text}<br>**Deprecated**: {instead}"),
        None => text,
    }
}

fn code(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

/// A bar would end the cell.
fn escape(cell: &str) -> String {
    cell.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_type_has_one_section_and_links_to_it() {
        let limits = json!({
            "type": "object", "description": "Limits.",
            "properties": { "most": { "type": "integer", "minimum": 0, "maximum": 100, "default": 5, "x-envoy": "limits.most", "examples": [7], "description": "At most | this." } },
        });
        let schema = json!({
            "title": "Policy", "type": "object", "required": ["high"],
            "properties": { "high": { "$ref": "#/definitions/Limits" }, "low": { "$ref": "#/definitions/Limits" } },
            "definitions": { "Limits": limits },
        });
        let wanted = "\
# Policy

<!-- Made by `UPDATE_DOCS=1 cargo test --test reference`. -->

| field | type | default | Envoy | example | |
|---|---|---|---|---|---|
| `high` | [Limits](#limits) | required |  |  |  |
| `low` | [Limits](#limits) |  |  |  |  |

## Limits

Limits.

| field | type | default | Envoy | example | |
|---|---|---|---|---|---|
| `most` | integer 0 to 100 | `5` | `limits.most` | `7` | At most \\| this. |
";
        assert_eq!(page(&schema), wanted);
    }
}
