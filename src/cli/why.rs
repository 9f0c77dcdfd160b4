//! `chancery why`: where each effective setting comes from, what it overrode, and what does not apply and why.

use std::{fmt::Write, num::NonZeroU16, path::PathBuf};

use anyhow::{Result, anyhow, bail};
use clap::Args;
use serde_json::{Value, json};

use super::{Outcome, inputs, node::NodeArgs, output};
use crate::{
    control::World,
    model::{CatalogEntry, Port, Proxy},
    policy::{
        Document, Why,
        merge::{Decided, Leaf},
        why::{TargetSettings, why_lost},
    },
    yaml::did_you_mean,
};

/// Say why a service's settings are what they are, as one proxy sees them
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  chancery why --config chancery.yaml --node checkout-1 --service checkout orders:80\n  \
                        chancery why --config chancery.yaml --node checkout-1 --service checkout orders -o json"
)]
pub struct WhyCommand {
    /// The configuration
    #[arg(long, value_name = "FILE", env = "CHANCERY_CONFIG")]
    config: PathBuf,
    #[command(flatten)]
    node: NodeArgs,
    /// The service, and its port; without a port, all of its ports
    #[arg(value_name = "SERVICE[:PORT]")]
    target: String,
    /// How to print it
    #[arg(short = 'o', long = "output", value_enum, default_value_t = output::Format::Human)]
    output: output::Format,
}

impl WhyCommand {
    pub fn run(self) -> Result<Outcome> {
        let proxy = self.node.proxy()?;
        let Some(world) = inputs::load_or_explain(&self.config)? else { return Ok(Outcome::Problems) };
        let (entry, port) = find(&world, &self.target)?;
        let group = world.grouping().group_of(&proxy);
        let why = world.policies().why(entry, port, &proxy, &group.view);
        match self.output {
            output::Format::Human => output::result(&human(entry, &proxy, &why))?,
            output::Format::Json | output::Format::Yaml => output::value(self.output, &to_json(entry, &proxy, &why))?,
        }
        Ok(Outcome::Fine)
    }
}

/// The service by its name, or by a host of it.
fn find<'a>(world: &'a World, written: &str) -> Result<(&'a CatalogEntry, Option<&'a Port>)> {
    let catalog = world.catalog();
    let (name, number) = match written.rsplit_once(':') {
        Some((name, number)) => {
            let number: NonZeroU16 = number.parse().map_err(|_| anyhow!("`{number}` is no port number"))?;
            (name, Some(number))
        }
        None => (written, None),
    };
    let by_host = || {
        let has = |entry: &&CatalogEntry| entry.service.hosts.iter().any(|host| host.as_str() == name);
        catalog.iter().map(|(_, entry)| entry).find(has)
    };
    let Some(entry) = catalog.get(name).or_else(by_host) else {
        let remedy = did_you_mean(name, catalog.iter().map(|(name, _)| name.as_str()));
        bail!("no service is called `{name}`; {}", remedy.unwrap_or_else(|| "its snapshot does not name it".into()));
    };
    let Some(number) = number else { return Ok((entry, None)) };
    let ports = &entry.service.ports;
    let Some(port) = ports.iter().find(|port| port.number == number) else {
        let there: Vec<String> = ports.iter().map(|port| port.number.to_string()).collect();
        bail!("{name} has no port {number}; it has {}", there.join(", "));
    };
    Ok((entry, Some(port)))
}

fn to_json(entry: &CatalogEntry, proxy: &Proxy, why: &Why) -> Value {
    let settings: Vec<Value> = why
        .targets
        .iter()
        .flat_map(|target| {
            let said = target.settings.iter().map(|(path, decided)| decided_json(target, path, decided));
            said.chain(target.defaults().into_iter().map(|(path, value)| setting_json(target, &path, &value)))
        })
        .collect();
    let not_applied: Vec<Value> = why
        .not_applied
        .iter()
        .map(|entry| {
            with_origin(&entry.document, &entry.field, json!({ "field": entry.field, "reason": entry.reason }))
        })
        .collect();
    json!({
        "service": entry.service.name.as_str(), "node": &*proxy.id, "workload": &*proxy.workload,
        "settings": settings, "notApplied": not_applied,
    })
}

fn setting_json(target: &TargetSettings, path: &str, value: &Value) -> Value {
    let mut setting = json!({ "setting": path, "value": value, "port": target.port.number.get(), "overrode": [] });
    if let Some(subset) = &target.subset {
        setting["subset"] = json!(subset.as_str());
    }
    setting
}

fn decided_json(target: &TargetSettings, path: &str, decided: &Decided) -> Value {
    let mut setting = setting_json(target, path, &decided.leaf.value);
    setting["from"] = leaf_origin(&decided.leaf, json!({}));
    setting["overrode"] = decided
        .overrode
        .iter()
        .map(|lost| {
            let said =
                json!({ "setting": lost.path, "value": lost.leaf.value, "reason": why_lost(path, decided, lost) });
            leaf_origin(&lost.leaf, said)
        })
        .collect();
    setting
}

fn leaf_origin(leaf: &Leaf, said: Value) -> Value {
    let mut said = with_origin(&leaf.document, &leaf.field, said);
    said["field"] = json!(leaf.field);
    said
}

fn with_origin(document: &Document, field: &str, mut said: Value) -> Value {
    let place = document.place_of(field);
    said["document"] = json!(document.name());
    said["file"] = json!(&*place.file.path);
    said["line"] = json!(place.line);
    said
}

fn human(entry: &CatalogEntry, proxy: &Proxy, why: &Why) -> String {
    let mut text = String::new();
    let workload = if proxy.workload.is_empty() { String::new() } else { format!(" ({})", proxy.workload) };
    for target in &why.targets {
        let subset = target.subset.as_ref().map(|subset| format!("/{subset}")).unwrap_or_default();
        let _ =
            writeln!(text, "{}:{}{subset} as {}{workload} sees it", entry.service.name, target.port.number, proxy.id);
        let defaults = target.defaults();
        let width = target.settings.iter().map(|(path, _)| path).chain(defaults.iter().map(|(path, _)| path));
        let width = width.map(String::len).max().unwrap_or_default();
        for (path, decided) in &target.settings {
            let _ = writeln!(text, "  {path:width$}  {}  {}", plain(&decided.leaf.value), origin(&decided.leaf));
            for lost in &decided.overrode {
                let (value, origin, reason) =
                    (plain(&lost.leaf.value), origin(&lost.leaf), why_lost(path, decided, lost));
                let _ = writeln!(text, "  {:width$}  overrode {value}  {origin}: {reason}", "");
            }
        }
        for (path, value) in defaults {
            let _ = writeln!(text, "  {path:width$}  {}  default", plain(&value));
        }
        text.push('\n');
    }
    if !why.not_applied.is_empty() {
        text.push_str("does not apply\n");
        for entry in &why.not_applied {
            let place = entry.document.place_of(&entry.field);
            let _ = writeln!(text, "  {}  {}:{}: {}", entry.document.name(), place.file.path, place.line, entry.reason);
        }
    }
    text
}

fn origin(leaf: &Leaf) -> String {
    let place = leaf.document.place_of(&leaf.field);
    format!("{}  {}:{}", leaf.document.name(), place.file.path, place.line)
}

/// Text without quotes, everything else as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
