//! JSON Schema of everything that people write: policy documents, the configuration, the service snapshot.
//!
//! ```text
//!  types with doc comments ──schemars──► raw schema ──`docs`──► schema with defaults, Envoy fields and examples
//!                                                                 └──`reference`──► a page for people
//! ```
//!
//! The types that read YAML are the source, so a schema cannot say other than the reader. It is draft-07: the newest
//! that every editor takes whole (yaml-language-server, VS Code's own JSON support, IntelliJ); later drafts change
//! nothing that is needed here but the word `definitions`, and cost completion in some. What editors know beyond the
//! drafts stands beside it and is ignored elsewhere: `markdownDescription`, `enumDescriptions`, `patternErrorMessage`,
//! `errorMessage`, `doNotSuggest`, `deprecationMessage`. Our own: `x-envoy`, the Envoy field that a field becomes, and
//! `x-default`, a default that is no value ("Envoy's 1h").

mod docs;
pub mod fields;
mod reference;

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{config, discovery, plan, policy::document};

/// Something that has a schema of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A policy document of this kind.
    Policy(&'static str),
    /// `chancery.yaml`.
    Config,
    /// `services.yaml`.
    Snapshot,
}

impl Kind {
    /// Every kind: those of policy documents first.
    pub fn all() -> Vec<Self> {
        document::kinds().map(|kind| Self::Policy(kind.name)).chain([Self::Config, Self::Snapshot]).collect()
    }

    /// The kind of this name, case aside.
    pub fn find(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }

    /// As documents and the command line write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Policy(name) => name,
            Self::Config => "Config",
            Self::Snapshot => "Snapshot",
        }
    }
}

/// The schema of one kind of document.
pub fn of(kind: Kind) -> Value {
    let mut generator = generator();
    let root = match kind {
        Kind::Policy(name) => {
            let kind = document::kinds().find(|kind| kind.name == name);
            kind.map(|kind| policy(&kind, &mut generator)).unwrap_or_default()
        }
        Kind::Config => config::schema(&mut generator).to_value(),
        Kind::Snapshot => discovery::file::schema(&mut generator).to_value(),
    };
    finish(kind.name(), root, generator)
}

/// The schema of any document in a policy file: which one it is, its `kind` says.
pub fn of_policy_file() -> Value {
    let mut generator = generator();
    let kinds: Vec<Value> = document::kinds().map(|kind| policy(&kind, &mut generator)).collect();
    finish("policy", json!({ "type": "object", "oneOf": kinds }), generator)
}

/// What programs read and write around `chancery plan`, beside the documents that people write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// What `chancery plan -o json` prints.
    Plan,
    /// What `chancery plan --load` reads.
    Load,
}

impl Data {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Plan, Self::Load];

    /// As the command line writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plan => "Plan",
            Self::Load => "Load",
        }
    }

    /// Its schema.
    pub fn schema(self) -> Value {
        let mut generator = match self {
            Self::Plan => generator_of(SchemaSettings::draft07().for_serialize()),
            Self::Load => generator(),
        };
        let root = match self {
            Self::Plan => plan::schema(&mut generator),
            Self::Load => plan::load_schema(&mut generator),
        };
        finish(self.name(), root.to_value(), generator)
    }
}

/// The reference page of one kind, as Markdown.
pub fn page(kind: Kind) -> String {
    page_of(&of(kind))
}

/// The reference page of a schema of this module, as Markdown.
pub fn page_of(schema: &Value) -> String {
    reference::page(schema)
}

/// What every document has, around the `spec` of its kind.
fn policy(kind: &document::KindSchema, generator: &mut SchemaGenerator) -> Value {
    let metadata = generator.subschema_for::<document::Metadata>().to_value();
    let spec = (kind.spec)(generator).to_value();
    json!({
        "type": "object",
        "properties": {
            "apiVersion": {
                "type": "string", "enum": kind.versions,
                "description": "The version of the format.\n\n- envoy: none, it says how the document is read",
            },
            "kind": {
                "type": "string", "const": kind.name,
                "description": "What kind of document this is.\n\n- envoy: none, it says how the document is read",
            },
            "metadata": metadata,
            "spec": spec,
            "status": { "description": "What Kubernetes writes; without meaning here.\n\n- envoy: none", "doNotSuggest": true },
        },
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": false,
    })
}

fn generator() -> SchemaGenerator {
    generator_of(SchemaSettings::draft07())
}

fn generator_of(mut settings: SchemaSettings) -> SchemaGenerator {
    // Before those of the draft, which move what stands beside a `$ref`.
    settings.transforms.insert(0, Box::new(docs::Docs));
    settings.into_generator()
}

/// Puts the definitions beside the root, and everything through the transforms.
fn finish(title: &str, root: Value, mut generator: SchemaGenerator) -> Value {
    let mut definitions = generator.take_definitions(false);
    // The root of a type is a reference to its definition; editors find `title` and `properties` at the top.
    let name = root["$ref"].as_str().and_then(|path| path.strip_prefix("#/definitions/")).map(str::to_owned);
    let root = name.and_then(|name| definitions.remove(&name)).unwrap_or(root);
    let mut schema = Map::new();
    schema.insert("$schema".into(), "http://json-schema.org/draft-07/schema#".into());
    schema.insert("title".into(), title.into());
    schema.extend(root.as_object().cloned().unwrap_or_default());
    schema.insert("definitions".into(), definitions.into());
    let mut schema = schemars::Schema::from(schema);
    for transform in generator.transforms_mut() {
        transform.transform(&mut schema);
    }
    // Types as written are called `Written…` in the code, where the others stand beside them.
    rename_written(schema.to_value())
}

fn rename_written(value: Value) -> Value {
    let plain = |name: &str| name.strip_prefix("Written").unwrap_or(name).to_owned();
    match value {
        Value::Object(fields) => {
            let field = |(key, value): (String, Value)| match (key.as_str(), value) {
                ("$ref", Value::String(path)) => {
                    let path = path.replace("#/definitions/Written", "#/definitions/");
                    (key, path.into())
                }
                ("definitions", Value::Object(types)) => {
                    let types: Map<String, Value> =
                        types.into_iter().map(|(name, value)| (plain(&name), rename_written(value))).collect();
                    (key, types.into())
                }
                (_, value) => (key, rename_written(value)),
            };
            Value::Object(fields.into_iter().map(field).collect())
        }
        Value::Array(items) => items.into_iter().map(rename_written).collect(),
        scalar => scalar,
    }
}
