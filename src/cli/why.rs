//! `chancery why`: where each effective setting comes from, what it overrode, and what does not apply and why.

use std::{fmt::Write, num::NonZeroU16, path::PathBuf};

use anyhow::{Result, anyhow, bail};
use clap::Args;
use serde_json::{Value, json};

use super::{Outcome, inputs, node::NodeArgs, output};
use crate::{
    compile::Lacking,
    control::World,
    model::{CatalogEntry, ClientKind, Port, Proxy},
    policy::{
        Document, Why,
        why::{Origin, Overrode, Setting},
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
        let Some(mut world) = inputs::load_or_explain(&self.config)? else { return Ok(Outcome::Problems) };
        let (entry, port) = find(&world, &self.target)?;
        let (entry, port) = (&entry.clone(), port.cloned());
        let group = world.grouping().group_of(&proxy);
        let why = world.policies().why(entry, port.as_ref(), &proxy, &group.view, world.catalog());
        let mut lacking = world.lacking(&group, &entry.service.name);
        lacking.retain(|lacking| port.as_ref().is_none_or(|port| port.number == lacking.cluster.port));
        match self.output {
            output::Format::Human => output::result(&human(entry, &proxy, &why, &lacking))?,
            output::Format::Json | output::Format::Yaml => {
                output::value(self.output, &to_json(entry, &proxy, &why, &lacking))?;
            }
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

fn to_json(entry: &CatalogEntry, proxy: &Proxy, why: &Why, lacking: &[Lacking]) -> Value {
    let not_applied: Vec<Value> = why
        .not_applied
        .iter()
        .map(|entry| {
            with_origin(&entry.document, &entry.field, json!({ "field": entry.field, "reason": entry.reason }))
        })
        .collect();
    let mut answer = json!({
        "service": entry.service.name.as_str(), "node": &*proxy.id, "workload": &*proxy.workload,
        "settings": why.settings().iter().map(setting_json).collect::<Vec<_>>(), "notApplied": not_applied,
    });
    if proxy.kind == ClientKind::Grpc {
        answer["lacking"] = lacking.iter().map(lacking_json).collect();
    }
    answer
}

fn lacking_json(Lacking { cluster, setting, sentence, changes_traffic }: &Lacking) -> Value {
    json!({
        "cluster": cluster.to_string(), "setting": &**setting, "sentence": &**sentence,
        "changesTraffic": changes_traffic,
    })
}

fn setting_json(setting: &Setting) -> Value {
    let Setting { setting, value, port, subset, from, overrode } = setting;
    let overrode: Vec<Value> = overrode
        .iter()
        .map(|Overrode { setting, value, from, reason }| {
            origin_json(from, json!({ "setting": setting, "value": value, "reason": reason }))
        })
        .collect();
    let mut said = json!({ "setting": setting, "value": value, "overrode": overrode });
    if let Some(port) = port {
        said["port"] = json!(port.number.get());
    }
    if let Some(subset) = subset {
        said["subset"] = json!(subset.as_str());
    }
    if let Some(from) = from {
        said["from"] = origin_json(from, json!({}));
    }
    said
}

fn origin_json(from: &Origin, said: Value) -> Value {
    let mut said = with_origin(&from.document, &from.field, said);
    said["field"] = json!(from.field);
    said
}

fn with_origin(document: &Document, field: &str, mut said: Value) -> Value {
    let place = document.place_of(field);
    said["document"] = json!(document.name());
    said["file"] = json!(&*place.file.path);
    said["line"] = json!(place.line);
    said
}

/// What fits on a terminal beside a pager and a chat.
const COLUMNS: usize = 100;

/// Paths longer than this push their own value out, not everybody's.
const WIDEST_PATH: usize = 46;

fn human(entry: &CatalogEntry, proxy: &Proxy, why: &Why, lacking: &[Lacking]) -> String {
    let mut text = String::new();
    let workload = if proxy.workload.is_empty() { String::new() } else { format!(" ({})", proxy.workload) };
    for target in &why.targets {
        let subset = target.subset.as_ref().map(|subset| format!("/{subset}")).unwrap_or_default();
        let name = format!("{}:{}{subset}", entry.service.name, target.port.number);
        let whole = why.targets.iter().find(|whole| whole.subset.is_none() && whole.port == target.port);
        let mut settings = target.settings();
        match whole.filter(|_| target.subset.is_some()) {
            None => drop(writeln!(text, "{name} as {}{workload} sees it", proxy.id)),
            Some(whole) => {
                let of_service = whole.settings();
                settings.retain(|setting| !of_service.iter().any(|other| says_the_same(setting, other)));
                let except = if settings.is_empty() { "" } else { ", except" };
                let _ = writeln!(text, "{name} is as {}:{}{except}", entry.service.name, target.port.number);
            }
        }
        section(&mut text, &settings);
    }
    for (port, routes) in &why.routes {
        let _ =
            writeln!(text, "routes of {}:{}, of which the first that matches counts", entry.service.name, port.number);
        section(&mut text, &crate::policy::why::of_routes(port, routes));
    }
    for (title, stated) in [
        ("subsets", &why.subsets),
        ("as a document defines the service", &why.definition),
        ("patched, after everything else", &why.patches),
        ("sent to this workload because of", &why.scope),
        ("of the whole mesh", &why.mesh),
    ] {
        if !stated.is_empty() {
            let _ = writeln!(text, "{title}");
            section(&mut text, &stated.iter().flat_map(|stated| stated.settings()).collect::<Vec<_>>());
        }
    }
    if !lacking.is_empty() {
        text.push_str("what a gRPC client without a proxy does not do of this\n");
        for Lacking { cluster, setting, sentence, changes_traffic: _ } in lacking {
            let _ = writeln!(text, "  {setting}  of {cluster}");
            wrapped(&mut text, 4, sentence);
        }
        text.push('\n');
    }
    if !why.not_applied.is_empty() {
        text.push_str("does not apply\n");
        for entry in &why.not_applied {
            let place = entry.document.place_of(&entry.field);
            let _ = writeln!(text, "  {}  {}:{}", entry.document.name(), place.file.path, place.line);
            wrapped(&mut text, 4, &entry.reason);
        }
    }
    text
}

/// Whether a subset's setting is that of its service.
fn says_the_same(setting: &Setting, other: &Setting) -> bool {
    let said_at = |setting: &Setting| setting.from.as_ref().map(|from| (from.document.id.clone(), from.field.clone()));
    setting.setting == other.setting && setting.value == other.value && said_at(setting) == said_at(other)
}

fn section(text: &mut String, settings: &[Setting]) {
    let width = settings.iter().map(|setting| setting.setting.len()).filter(|&width| width <= WIDEST_PATH).max();
    let width = width.unwrap_or(WIDEST_PATH);
    let mut of_block: Vec<(&str, &Overrode)> = Vec::new();
    for Setting { setting, value, from, overrode, .. } in settings {
        of_block.extend(overrode.iter().map(|lost| (setting.as_str(), lost)));
        // Lists and blocks are told by their parts, which follow; what they overrode stands below the first of these.
        if is_compound(value) {
            continue;
        }
        let from = from.as_ref().map_or_else(|| "default".to_owned(), origin);
        columns(text, &format!("  {setting:width$}"), &plain(value), &from, width + 4);
        for (winner, Overrode { setting: of, value, from, reason }) in of_block.drain(..) {
            // Of a rule the path begins with the rule.
            let is_same = winner.strip_suffix(of.as_str()).is_some_and(|rule| rule.is_empty() || rule.ends_with('.'));
            let lost = if is_same { format!("not {}", plain(value)) } else { format!("not {of}: {}", plain(value)) };
            // What is too long for its column begins further left.
            let width = width.min(COLUMNS.saturating_sub(lost.chars().count() + 4));
            columns(text, &format!("  {:width$}", ""), &lost, &origin(from), width + 4);
            wrapped(text, width + 6, reason);
        }
    }
    text.push('\n');
}

/// A line of three columns; the last goes to a line of its own where there is no room.
fn columns(text: &mut String, path: &str, value: &str, from: &str, indent: usize) {
    let line = format!("{path}  {value}");
    if line.chars().count() + 2 + from.chars().count() <= COLUMNS {
        let _ = writeln!(text, "{line}  {from}");
    } else {
        let _ = writeln!(text, "{line}\n{:indent$}{from}", "");
    }
}

fn wrapped(text: &mut String, indent: usize, sentence: &str) {
    let mut line = String::new();
    for word in sentence.split(' ') {
        if !line.is_empty() && indent + line.chars().count() + 1 + word.chars().count() > COLUMNS {
            let _ = writeln!(text, "{:indent$}{line}", "");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(text, "{:indent$}{line}", "");
}

fn origin(from: &Origin) -> String {
    let place = from.place();
    format!("{}  {}:{}", from.document.name(), place.file.path, place.line)
}

fn is_compound(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => false,
    }
}

/// Text without quotes, everything else as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // What limits are set to where there is none.
        Value::Number(number) if number.as_u64() == Some(u64::from(u32::MAX)) => "no limit".into(),
        other => other.to_string(),
    }
}
