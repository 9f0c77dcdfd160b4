//! Everything that documents say of a service as a flat list of settings, each with the line that says it.
//!
//! A value that is a list or a block is there as a whole, for what it is, and in its parts, for where each stands.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::{Stated, TargetSettings, Why, why_lost};
use crate::{
    diagnostic::Place,
    model::{
        Port, SubsetName,
        policy::{RoutePolicy, routing::HttpAction},
    },
    policy::{
        document::Document,
        leaves::Path,
        merge::{Decided, Leaf},
        routes::{Decision, PortRoutes},
    },
};

/// One setting.
#[derive(Debug, Clone)]
pub struct Setting {
    /// A policy path (`connectionPool.tcp.maxConnections`); of a route `routes[0].…`, of the mesh `mesh.…`.
    pub setting: Path,
    /// What it is.
    pub value: Value,
    /// Of which port; absent = of all of them.
    pub port: Option<Port>,
    /// Of which subset; absent = of the whole service.
    pub subset: Option<SubsetName>,
    /// Who says so; absent = nobody, it is a default.
    pub from: Option<Origin>,
    /// What was said in vain.
    pub overrode: Vec<Overrode>,
}

/// Where something is said.
#[derive(Debug, Clone)]
pub struct Origin {
    /// In which document.
    pub document: Arc<Document>,
    /// At which path below the document's root.
    pub field: String,
}

impl Origin {
    /// The line of the field.
    pub fn place(&self) -> Place {
        self.document.place_of(&self.field)
    }
}

/// Something that was said in vain.
#[derive(Debug, Clone)]
pub struct Overrode {
    /// Of which setting: where it is another, both are forms of one choice.
    pub setting: Path,
    /// What is said.
    pub value: Value,
    /// Where.
    pub from: Origin,
    /// Why it does not count, without a full stop.
    pub reason: String,
}

impl Why {
    /// All settings: those of each port and subset, then subsets, routes, definition, scope and mesh.
    pub fn settings(&self) -> Vec<Setting> {
        let mut settings: Vec<Setting> = self.targets.iter().flat_map(TargetSettings::settings).collect();
        settings.extend(self.subsets.iter().flat_map(Stated::settings));
        for (port, routes) in &self.routes {
            settings.extend(of_routes(port, routes));
        }
        let stated = self.definition.iter().chain(&self.patches).chain(&self.scope).chain(&self.mesh);
        settings.extend(stated.flat_map(Stated::settings));
        settings
    }
}

impl TargetSettings {
    /// What documents say, then what nobody does.
    pub fn settings(&self) -> Vec<Setting> {
        let said = self.settings.iter().flat_map(|(path, decided)| self.decided(path, decided));
        let defaults = self.defaults().into_iter().map(|(path, value)| self.setting(path, value, None, Vec::new()));
        said.chain(defaults).collect()
    }

    fn setting(&self, setting: Path, value: Value, from: Option<Origin>, overrode: Vec<Overrode>) -> Setting {
        Setting { setting, value, port: Some(self.port.clone()), subset: self.subset.clone(), from, overrode }
    }

    fn decided(&self, path: &str, decided: &Decided) -> Vec<Setting> {
        let lost = decided.overrode.iter().map(|lost| Overrode {
            setting: lost.path.clone(),
            value: lost.leaf.value.clone(),
            from: origin(&lost.leaf),
            reason: why_lost(path, decided, lost),
        });
        let mut settings = vec![self.setting(
            path.to_owned(),
            decided.leaf.value.clone(),
            Some(origin(&decided.leaf)),
            lost.collect(),
        )];
        for (part, value) in parts(&decided.leaf.value) {
            let from =
                Origin { document: decided.leaf.document.clone(), field: format!("{}{part}", decided.leaf.field) };
            settings.push(self.setting(format!("{path}{part}"), value, Some(from), Vec::new()));
        }
        settings
    }
}

impl Stated {
    /// It, and its parts.
    pub fn settings(&self) -> Vec<Setting> {
        let Self { setting, value, document, field, overrode } = self;
        let whole = Setting {
            setting: setting.clone(),
            value: value.clone(),
            port: None,
            subset: None,
            from: Some(Origin { document: document.clone(), field: field.clone() }),
            overrode: overrode.clone(),
        };
        let parts = parts(value).into_iter().map(|(part, value)| Setting {
            setting: format!("{setting}{part}"),
            value,
            from: Some(Origin { document: document.clone(), field: format!("{field}{part}") }),
            overrode: Vec::new(),
            ..whole.clone()
        });
        let parts: Vec<Setting> = parts.collect();
        std::iter::once(whole.clone()).chain(parts).collect()
    }
}

fn origin(leaf: &Leaf) -> Origin {
    Origin { document: leaf.document.clone(), field: leaf.field.clone() }
}

/// What each rule of a port says, in order.
pub fn of_routes(port: &Port, routes: &PortRoutes) -> Vec<Setting> {
    match routes {
        PortRoutes::Http(rules) => of_rules(port, rules, |rule, said| match &rule.action {
            HttpAction::Forward(forward) => unsaid(&forward.policy, said),
            HttpAction::Redirect(_) | HttpAction::Respond(_) => Vec::new(),
        }),
        PortRoutes::Tcp(rules) => of_rules(port, rules, |_, _| Vec::new()),
    }
}

/// What nobody says of a route's timeouts and retries. Of retries Istio's own default stands for a rule.
fn unsaid(policy: &RoutePolicy, said: &BTreeMap<Path, Leaf>) -> Vec<(&'static str, Value)> {
    let mut unsaid = Vec::new();
    let limits = [
        ("timeout", policy.timeout),
        ("streamIdleTimeout", policy.stream_idle_timeout),
        ("maxStreamDuration", policy.max_stream_duration),
    ];
    for (path, _) in limits.into_iter().filter(|(path, limit)| limit.is_none() && !said.contains_key(*path)) {
        unsaid.push((path, json!("0s")));
    }
    if !said.keys().any(|path| path.starts_with("retries"))
        && let Some(retry) = &policy.retry
    {
        unsaid.push(("retries.attempts", json!(retry.attempts)));
        unsaid.push(("retries.retryOn", json!(retry.retry_on.join(","))));
    }
    unsaid
}

/// What each rule says, in the words of its document, and what of its timeout and retries is said elsewhere.
fn of_rules<R>(
    port: &Port,
    rules: &[Decision<R>],
    unsaid: impl Fn(&R, &BTreeMap<Path, Leaf>) -> Vec<(&'static str, Value)>,
) -> Vec<Setting> {
    let mut settings = Vec::new();
    for (index, Decision { rule, document, field, settings: decided, replaced }) in rules.iter().enumerate() {
        let first = settings.len();
        let setting = |path: String, value: Value, from: Option<Origin>| Setting {
            setting: format!("routes[{index}]{path}"),
            value,
            port: Some(port.clone()),
            subset: None,
            from,
            overrode: Vec::new(),
        };
        for (path, text) in document.scalars(field) {
            let part = path[field.len()..].to_owned();
            let from = Origin { document: document.clone(), field: path };
            settings.push(setting(part, Value::String(text), Some(from)));
        }
        // The rule's own words stand there already, unless they are a block without any.
        let stands_there =
            |leaf: &Leaf| leaf.field.starts_with(field.as_str()) && !document.scalars(&leaf.field).is_empty();
        for (path, leaf) in decided.iter().filter(|(_, leaf)| !stands_there(leaf)) {
            settings.push(setting(format!(".{path}"), leaf.value.clone(), Some(origin(leaf))));
        }
        for (path, leaf) in replaced {
            let lost = Overrode {
                setting: path.clone(),
                value: leaf.value.clone(),
                from: origin(leaf),
                reason: match leaf.document.id == document.id {
                    true => "the shorter of the two ends the request".to_owned(),
                    false => "what a rule says of its route comes before policies".to_owned(),
                },
            };
            if let Some(winner) = winner_over(path, decided, &mut settings[first..]) {
                winner.overrode.push(lost);
            }
        }
        settings
            .extend(unsaid(rule, decided).into_iter().map(|(path, value)| setting(format!(".{path}"), value, None)));
    }
    settings
}

/// The setting of a rule that stands instead of what a policy says at a path: of a block, its first.
fn winner_over<'s>(path: &str, decided: &BTreeMap<Path, Leaf>, settings: &'s mut [Setting]) -> Option<&'s mut Setting> {
    let block = path.split('.').next().unwrap_or(path);
    let leaf = decided.get(path).or_else(|| Some(decided.iter().find(|(said, _)| said.starts_with(block))?.1))?;
    settings.iter_mut().find(|setting| {
        setting
            .from
            .as_ref()
            .is_some_and(|from| from.document.id == leaf.document.id && from.field.starts_with(&leaf.field))
    })
}

/// The scalars of a list or a block, each by its path below it: `[0].interval`, `.name`, `["eu/*"]`. None of a scalar.
pub(super) fn parts(value: &Value) -> Vec<(String, Value)> {
    fn collect(path: &str, value: &Value, parts: &mut Vec<(String, Value)>) {
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    collect(&format!("{path}[{index}]"), item, parts);
                }
            }
            Value::Object(fields) => {
                for (key, value) in fields {
                    collect(&format!("{path}{}", crate::yaml::key_segment(key)), value, parts);
                }
            }
            scalar => parts.push((path.to_owned(), scalar.clone())),
        }
    }
    let mut all = Vec::new();
    if value.is_array() || value.is_object() {
        collect("", value, &mut all);
    }
    all
}
