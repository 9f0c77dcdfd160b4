//! What is wrong with a patch, before there is anything to patch: fields that no message has, values that a field cannot
//! hold, types that nobody knows.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value};

use super::{ANY, field, is_well_known, message_of_url, paths, paths::Step, pool, read, with_field};
use crate::yaml::{did_you_mean, key_segment};

/// Something that is wrong, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Below what was checked; empty = all of it.
    pub path: String,
    /// A stable word for the kind of problem.
    pub id: &'static str,
    /// A sentence without a full stop.
    pub message: String,
    /// What to write instead.
    pub remedy: Option<String>,
}

/// Checks what is to be merged into a message. Its name must be one that the build knows.
pub fn check_merge(message: &str, value: &Value) -> Vec<Finding> {
    let mut checker = Checker::default();
    match pool().get_message_by_name(message) {
        Some(descriptor) => checker.message(&descriptor, value, String::new()),
        None => checker.find(String::new(), "unknown-type", format!("there is no message `{message}`"), None),
    }
    checker.findings
}

/// Checks the path of a field that is to be unset, as far as it can be told without a message.
pub fn check_remove(message: &str, path: &str) -> Option<Finding> {
    let broken =
        |message: String, remedy: Option<String>| Finding { path: String::new(), id: "unknown-field", message, remedy };
    let Some(steps) = paths::parse(path) else {
        let remedy =
            "write fields with dots between them, and items as `[0]` or `[name]`: `filter_chains[0].filters[x]`";
        return Some(broken(format!("`{path}` is no path of a field"), Some(remedy.into())));
    };
    let mut message = pool().get_message_by_name(message)?;
    let mut steps = steps.iter().peekable();
    while let Some(step) = steps.next() {
        let Step::Field(name) = step else {
            return Some(broken(format!("`{path}` looks for an item where there is no list or map"), None));
        };
        let Some(found) = field(&message, name) else {
            let remedy = suggestion(&message, name);
            return Some(broken(format!("`{name}` is no field of {}", message.full_name()), remedy));
        };
        if matches!(steps.peek(), Some(Step::Item(_))) {
            if !found.is_list() && !found.is_map() {
                return Some(broken(format!("`{name}` is no list and no map, and has no items"), None));
            }
            steps.next();
        } else if steps.peek().is_some() && (found.is_list() || found.is_map()) {
            let remedy = Some(format!("say which item: `{name}[0]`, or its name in brackets"));
            return Some(broken(format!("`{name}` is a list or a map"), remedy));
        }
        steps.peek()?;
        message = match item_kind(&found) {
            // What is packed there is known only once there is something.
            Kind::Message(next) if next.full_name() == ANY => return None,
            Kind::Message(next) => next,
            _ => return Some(broken(format!("`{name}` is no message, and has no fields"), None)),
        };
    }
    None
}

/// The kind of a field, of its items, or of the values of its entries.
fn item_kind(field: &FieldDescriptor) -> Kind {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
        kind => kind,
    }
}

fn suggestion(message: &MessageDescriptor, found: &str) -> Option<String> {
    let names: Vec<String> = message.fields().map(|field| field.name().to_owned()).collect();
    did_you_mean(found, names.iter().map(String::as_str))
}

#[derive(Debug, Default)]
struct Checker {
    findings: Vec<Finding>,
}

impl Checker {
    fn find(&mut self, path: String, id: &'static str, message: String, remedy: Option<String>) {
        self.findings.push(Finding { path, id, message, remedy });
    }

    fn message(&mut self, message: &MessageDescriptor, value: &Value, path: String) {
        if is_well_known(message) {
            if let Err(error) = read(message, value) {
                self.find(path, "invalid-value", sentence(value, message.full_name(), &error), None);
            }
            return;
        }
        let Value::Object(fields) = value else {
            let sentence = format!("{} is needed here: a map of its fields", message.full_name());
            return self.find(path, "wrong-type", sentence, None);
        };
        if message.full_name() == ANY {
            return self.packed(fields, path);
        }
        self.fields(message, fields, &path);
    }

    fn fields(&mut self, message: &MessageDescriptor, fields: &Map<String, Value>, path: &str) {
        for (key, value) in fields {
            let path = format!("{path}{}", key_segment(key));
            match field(message, key) {
                None => {
                    let sentence = format!("`{key}` is no field of {}", message.full_name());
                    self.find(path, "unknown-field", sentence, suggestion(message, key));
                }
                Some(_) if value.is_null() => {
                    let remedy = Some(format!("write a value, or list `{key}` under `remove` to unset it"));
                    self.find(path, "invalid-value", format!("`{key}` has no value"), remedy);
                }
                Some(found) => self.field(message, &found, value, path),
            }
        }
    }

    fn field(&mut self, message: &MessageDescriptor, field: &FieldDescriptor, value: &Value, path: String) {
        match (value, item_kind(field)) {
            (Value::Object(entries), Kind::Message(item)) if field.is_map() || field.is_list() => {
                for (key, value) in entries {
                    self.message(&item, value, format!("{path}{}", key_segment(key)));
                }
            }
            (Value::Array(items), Kind::Message(item)) if field.is_list() => {
                for (index, value) in items.iter().enumerate() {
                    self.message(&item, value, format!("{path}[{index}]"));
                }
            }
            (value, Kind::Message(item)) if !field.is_map() && !field.is_list() => self.message(&item, value, path),
            (Value::String(word), Kind::Enum(values)) if values.get_value_by_name(word).is_none() => {
                let words: Vec<String> = values.values().map(|value| value.name().to_owned()).collect();
                let remedy = did_you_mean(word, words.iter().map(String::as_str));
                self.find(path, "invalid-value", format!("`{word}` is no {}", values.full_name()), remedy);
            }
            (value, _) => {
                if let Err(error) = with_field(message, field, value.clone()) {
                    let needed = format!("{:?}", field.kind());
                    self.find(path, "invalid-value", sentence(value, &needed, &error), None);
                }
            }
        }
    }

    /// What an `Any` packs, which `@type` names.
    fn packed(&mut self, fields: &Map<String, Value>, path: String) {
        let Some(Value::String(url)) = fields.get("@type") else {
            let remedy = "add `\"@type\": type.googleapis.com/…`, the full name of the message";
            return self.find(path, "missing-field", "`@type` is missing".into(), Some(remedy.into()));
        };
        let Some(message) = message_of_url(url).filter(|_| url.starts_with("type.googleapis.com/")) else {
            let sentence = format!("`{url}` is no type of Envoy's configuration that is known here");
            let known: Vec<String> =
                pool().all_messages().map(|known| format!("type.googleapis.com/{}", known.full_name())).collect();
            let remedy = did_you_mean(url, known.iter().map(String::as_str));
            return self.find(format!("{path}[\"@type\"]"), "unknown-type", sentence, remedy);
        };
        let mut rest = fields.clone();
        rest.remove("@type");
        match rest.get("value") {
            Some(value) if is_well_known(&message) => self.message(&message, value, format!("{path}.value")),
            _ => self.fields(&message, &rest, &path),
        }
    }
}

/// An error of the JSON reader without the place in a text that nobody wrote.
fn sentence(value: &Value, needed: &str, error: &str) -> String {
    let written = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    format!("`{written}` is no {needed}: {}", error.split(" at line ").next().unwrap_or(error))
}
