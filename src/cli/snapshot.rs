//! `chancery snapshot`: what the sources know now, as a snapshot file that can be committed and reviewed.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::{Outcome, diagnostics, inputs, output, server};
use crate::{catalog::services_json, config, diagnostic::Level};

/// Record what the sources know now as a service snapshot, in stable order
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  chancery snapshot --admin http://127.0.0.1:19000 > services.yaml\n  \
                        chancery snapshot --config chancery.yaml > services.yaml")]
pub struct SnapshotCommand {
    /// Read the sources of this configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Ask a running server
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    admin: Option<String>,
    /// How to print it
    #[arg(short = 'o', long = "output", value_enum, default_value_t = Format::Yaml)]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Yaml,
    Json,
}

impl SnapshotCommand {
    pub fn run(self) -> Result<Outcome> {
        let services = match (&self.config, &self.admin) {
            (_, Some(address)) => {
                let mut answer = server::get(address, "/api/v1/services")?;
                answer["services"].take()
            }
            (Some(path), None) => {
                let read = config::load(path).map(|config| inputs::discovered(&config));
                let (catalog, problems) = match read {
                    Ok(read) => read,
                    Err(problems) => {
                        diagnostics::explain(&problems);
                        return Ok(Outcome::Problems);
                    }
                };
                if problems.iter().any(|problem| problem.level == Level::Error) {
                    diagnostics::explain(&problems);
                    return Ok(Outcome::Problems);
                }
                services_json(&catalog)
            }
            (None, None) => bail!("name whose services: --config FILE, or --admin URL of a running server"),
        };
        let format = match self.output {
            Format::Yaml => output::Format::Yaml,
            Format::Json => output::Format::Json,
        };
        output::value(format, &json!({ "services": lean(services) }))?;
        Ok(Outcome::Fine)
    }
}

/// Without what says nothing: defaults, and lists that are empty. What is left reads as a person would write it.
fn lean(services: Value) -> Value {
    /// Keys that a snapshot may leave out, where they have these values.
    fn says_nothing(key: &str, value: &Value) -> bool {
        match (key, value) {
            ("weight", Value::Number(weight)) => weight.as_u64() == Some(1),
            ("health", Value::String(health)) => health == "healthy",
            ("region" | "zone" | "subzone", Value::String(name)) => name.is_empty(),
            ("hosts", Value::Array(items)) => items.is_empty(),
            ("labels" | "locality", Value::Object(fields)) => fields.is_empty(),
            // Of an endpoint; those of a service are a list.
            ("ports", Value::Object(fields)) => fields.is_empty(),
            _ => false,
        }
    }
    fn walk(value: Value, keys_are_names: bool) -> Value {
        match value {
            Value::Array(items) => items.into_iter().map(|item| walk(item, false)).collect(),
            Value::Object(fields) if !keys_are_names => {
                let fields = fields.into_iter().map(|(key, value)| {
                    // Keys of labels, and names of ports, are the operator's own words.
                    let value = walk(value, key == "labels" || key == "ports");
                    (key, value)
                });
                Value::Object(fields.filter(|(key, value)| !says_nothing(key, value)).collect::<Map<_, _>>())
            }
            other => other,
        }
    }
    walk(services, false)
}
